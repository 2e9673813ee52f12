/**
 * The JSON schema of the report, made from the TypeScript declarations of it. It understands what those use: interfaces,
 * named types, unions, literals, arrays, tuples, objects in place, doc comments.
 */

type Schema = Readonly<Record<string, unknown>>;

interface Shape {
  readonly properties: Record<string, Schema>;
  readonly required: string[];
}

/** The schema of `root` and of all that it is made of. */
export function schemaOf(source: string, root: string, about: string): Schema {
  // The comment on the file is none of the first declaration's.
  const { schemas } = new Declarations(source.replace(/^\/\*\*[\s\S]*?\*\/\n\n/, ''));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: about,
    $ref: `#/$defs/${root}`,
    $defs: Object.fromEntries(schemas),
  };
}

const tokens = /\/\*\*[\s\S]*?\*\/|\/\*[\s\S]*?\*\/|\/\/[^\n]*|'[^'\n]*'|[A-Za-z_]\w*|\d+|[{}[\]()|;:?=,]|\S/g;

class Declarations {
  readonly schemas = new Map<string, Schema>();
  private readonly shapes = new Map<string, Shape>();
  private readonly words: readonly string[];
  private at = 0;

  constructor(source: string) {
    this.words = (source.match(tokens) ?? []).filter((word) => !/^\/(\/|\*(?!\*))/.test(word));
    while (this.at < this.words.length) this.declaration();
  }

  private get word(): string {
    return this.words[this.at] ?? '';
  }

  private take(expected?: string): string {
    const { word } = this;
    if (word === '' || (expected !== undefined && word !== expected))
      throw new Error(`the report's declarations have '${word}' where '${expected ?? 'more'}' is expected`);
    this.at++;
    return word;
  }

  private takes(word: string): boolean {
    if (this.word !== word) return false;
    this.at++;
    return true;
  }

  /** The text of a doc comment, if one stands here; of several the last. */
  private comment(): Schema {
    let description: string | undefined;
    while (this.word.startsWith('/**')) {
      description = this.take()
        .slice(3, -2)
        .replace(/\s*\n\s*\*? ?/g, ' ')
        .trim();
    }
    return description === undefined ? {} : { description };
  }

  private declaration(): void {
    const comment = this.comment();
    if (this.word === 'import') throw new Error("the report's declarations stand alone");
    this.takes('export');
    if (this.takes('type')) {
      const name = this.take();
      this.take('=');
      this.schemas.set(name, { ...comment, ...this.type() });
      this.take(';');
      return;
    }
    this.take('interface');
    const name = this.take();
    const base = this.takes('extends') ? this.shapes.get(this.take()) : undefined;
    const own = this.members();
    const shape: Shape = {
      properties: { ...base?.properties, ...own.properties },
      required: [...(base?.required ?? []), ...own.required],
    };
    this.shapes.set(name, shape);
    this.schemas.set(name, { ...comment, ...object(shape) });
  }

  private members(): Shape {
    const shape: Shape = { properties: {}, required: [] };
    this.take('{');
    while (!this.takes('}')) {
      const comment = this.comment();
      this.take('readonly');
      const name = this.take();
      if (!this.takes('?')) shape.required.push(name);
      this.take(':');
      shape.properties[name] = { ...comment, ...this.type() };
      if (!this.takes(';') && this.word !== '}') this.take(';');
    }
    return shape;
  }

  private type(): Schema {
    this.takes('|');
    const choices = [this.array()];
    while (this.takes('|')) choices.push(this.array());
    if (choices.length === 1) return choices[0] as Schema;
    if (choices.every((choice) => 'const' in choice)) return { enum: choices.map((choice) => choice.const) };
    if (choices.every((choice) => typeof choice.type === 'string' && Object.keys(choice).length === 1))
      return { type: choices.map(({ type }) => type) };
    return { anyOf: choices };
  }

  private array(): Schema {
    this.takes('readonly');
    let schema = this.primary();
    while (this.takes('[')) {
      this.take(']');
      schema = { type: 'array', items: schema };
    }
    return schema;
  }

  private primary(): Schema {
    if (this.word === '{') return object(this.members());
    if (this.takes('(')) {
      const inner = this.type();
      this.take(')');
      return inner;
    }
    if (this.takes('[')) {
      const items = [this.type()];
      while (this.takes(',')) items.push(this.type());
      this.take(']');
      return { type: 'array', prefixItems: items, minItems: items.length, items: false };
    }
    const word = this.take();
    if (word.startsWith("'")) return { const: word.slice(1, -1) };
    if (/^\d/.test(word)) return { const: Number(word) };
    if (word === 'true' || word === 'false') return { const: word === 'true' };
    if (['string', 'number', 'boolean', 'null'].includes(word)) return { type: word };
    if (!/^[A-Z]/.test(word)) throw new Error(`the report's declarations use '${word}', which has no schema`);
    return { $ref: `#/$defs/${word}` };
  }
}

function object({ properties, required }: Shape): Schema {
  return { type: 'object', properties, required, additionalProperties: false };
}
