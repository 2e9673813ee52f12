/** docs/debugger.md, made from the declarations of the debugger's commands. */
import type { DebuggerCommand } from '../src/debugger/command.ts';
import { absentCommands } from '../src/debugger/commands/absent.ts';
import { commands } from '../src/debugger/commands/index.ts';

const introduction = `# The kernel debugger

Made from the declarations in \`src/debugger\` by \`npm run docs\`.

\`poolproof kd DRIVER.sys\` stops a machine before the driver's first instruction and takes the commands of the Windows
kernel debugger; \`--break\` does so where a run meets a bug check. Nothing that is looked at changes what the driver does.

## Expressions

Addresses and numbers are expressions in MASM syntax.

- Numbers are hexadecimal. \`0n10\`, \`0t12\` and \`0y1010\` are decimal, octal and binary; addresses may hold a backtick:
  \`\`fffff800\`10001420\`\`.
- \`module!name\` and \`name\` are symbols, \`module\` is the base of an image. A character that no module name may have is an
  underscore: \`my_driver!DriverEntry\` of \`my-driver.sys\`. What consists of hexadecimal digits is a number: \`!db\` is the
  symbol, \`db\` is 0xdb.
- \`@rax\` is a register, and so are \`rax\` to \`r15\`, \`rip\` and \`efl\` without the mark. \`@$t0\` to \`@$t19\` are yours (\`r $t0=5\`).
  \`@$ip\` (also \`.\`), \`@$csp\`, \`@$ra\`, \`@$retreg\`, \`@$thread\`, \`@$proc\`, \`@$bug_code\` and \`@$bug_param1\` to \`4\` can be read.
- Operators, the strongest first: \`* / mod %\`, \`+ -\`, \`<< >> >>>\`, \`= == != < > <= >=\`, \`and &\`, \`xor ^\`, \`or |\`. In front of an
  operand: \`+ - ~ not hi low\`, and \`by wo dwo qwo poi\` for what memory holds there. All of it is unsigned, of 64 bits.
- Ranges are \`address\`, \`address L8\` (elements), \`address L-8\` (in front of it) and \`start end\`.

Commands of a line are separated by \`;\`. An empty line repeats what can be repeated: \`d\` and \`u\` go on, \`p\` and \`t\` step on.
`;

const stops = `## What is other than on Windows

- A routine of the kernel is no guest code: \`t\` stops at its beginning, \`bp\` stops every call of it there, and \`k\` shows the
  kernel's frames as far as the routines that led to the driver.
- A jump at the end of a routine (\`jmp\` to ExAllocatePoolWithTag) leaves no frame, and \`k\` shows none. \`!verifier 3\`,
  \`!verifier 0x80\`, \`!pool\` and the report name the jump as the caller, since the return address is of somebody else.
- \`p\` and \`gu\` stop in the \`__except\` block that ends the call, where Windows' debugger would run on.
- The driver's own \`int 3\` stops, and going on passes it, as it does without a debugger.
- After a bug check the machine stands where it met the reason: KeBugCheckEx has no frame.
`;

const sections: readonly (readonly [string, string, (name: string) => boolean])[] = [
  ['Commands', 'Letters may be followed at once by what is no letter: `db@rsp`, `k5`.', (name) => !/^[.!]/.test(name)],
  ['Commands with a dot', 'What is about the debugger itself, or about the whole machine.', (name) => name[0] === '.'],
  ['Extensions', 'What the debugger knows about the kernel and about Driver Verifier.', (name) => name[0] === '!'],
];

export function debuggerPage(): string {
  const sorted = [...commands].sort((a, b) => (a.name < b.name ? -1 : 1));
  const parts = sections.map(([title, text, isOf]) => {
    const ones = sorted.filter(({ name }) => isOf(name));
    const rows = ones.map(({ name, summary }) => `| ${code(name)} | ${cell(summary)} |`);
    const table = ['| command | what it does |', '| --- | --- |', ...rows].join('\n');
    return [`## ${title}`, text, table, ...ones.map(described)].join('\n\n');
  });
  return `${introduction}\n${stops}\n${parts.join('\n\n')}\n\n${absentSection()}\n`;
}

function absentSection(): string {
  const rows = absentCommands.map(([names, hint]) => {
    const cells = names.split(' ').map((name) => cell(code(name)));
    return `| ${cells.join(' ')} | ${cell(hint)} |`;
  });
  const table = ['| command | instead |', '| --- | --- |', ...rows].join('\n');
  return ['## Commands that are not there', 'Other kernel debuggers have them; here they say so.', table].join('\n\n');
}

function described({ name, aliases = [], usage, details = [] }: DebuggerCommand): string {
  const also = aliases.length === 0 ? [] : [`Also: ${aliases.map(code).join(', ')}.`];
  const forms = `\`\`\`text\n${usage.join('\n')}\n\`\`\``;
  const lines = details.length === 0 ? [] : [`\`\`\`text\n${details.join('\n')}\n\`\`\``];
  return [`### ${code(name)}`, forms, ...lines, ...also].join('\n\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}
