import type { Va } from '../../base/va.ts';

interface Node {
  readonly children: Map<Va, Node>;
  stack: readonly Va[] | undefined;
}

/** Gives equal call stacks one shared array. A cache: nothing depends on what it holds. */
export class StackTrie {
  private readonly root: Node = { children: new Map(), stack: undefined };

  intern(stack: readonly Va[]): readonly Va[] {
    let node = this.root;
    for (const address of stack) {
      let next = node.children.get(address);
      if (next === undefined) {
        next = { children: new Map(), stack: undefined };
        node.children.set(address, next);
      }
      node = next;
    }
    node.stack ??= Object.freeze(stack.slice());
    return node.stack;
  }
}
