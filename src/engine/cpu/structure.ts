/**
 * Structured control flow for a graph of basic blocks, from its dominator tree.
 * Reference: N. Ramsey, "Beyond Relooper: recursive translation of unstructured control flow to structured control
 * flow", ICFP 2022; dominators after Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm".
 */

export interface FlowShape {
  /** Reachable blocks in reverse postorder. */
  readonly order: readonly number[];
  /** Position in `order`; -1 for blocks that are not reachable. */
  readonly position: Int32Array;
  /** Whether a jump goes back to the block. */
  readonly isHeader: Uint8Array;
  /** Whether two or more forward edges lead to the block. */
  readonly isMerge: Uint8Array;
  /** Merge blocks that the block dominates immediately, last in `order` first. */
  readonly mergeChildren: readonly (readonly number[])[];
  /** False if some loop has two entries: then only a dispatch loop can express the graph. */
  readonly isReducible: boolean;
}

/** `successors[block]` may name a block more than once. The root is block 0. */
export function analyseFlow(successors: readonly (readonly number[])[]): FlowShape {
  const count = successors.length;
  const order = reversePostorder(successors);
  const position = new Int32Array(count).fill(-1);
  for (let at = 0; at < order.length; at++) position[order[at] as number] = at;
  const predecessors: number[][] = Array.from({ length: count }, () => []);
  for (const block of order) for (const to of successors[block] as readonly number[]) predecessors[to]?.push(block);
  const dominator = immediateDominators(order, position, predecessors);

  const isHeader = new Uint8Array(count);
  const isMerge = new Uint8Array(count);
  let isReducible = true;
  for (const block of order) {
    let forward = 0;
    for (const from of predecessors[block] as number[]) {
      if ((position[from] as number) >= (position[block] as number)) {
        isHeader[block] = 1;
        if (!dominates(block, from, dominator, position)) isReducible = false;
      } else {
        forward++;
      }
    }
    if (forward >= 2) isMerge[block] = 1;
  }
  const mergeChildren: number[][] = Array.from({ length: count }, () => []);
  for (let at = order.length - 1; at > 0; at--) {
    const block = order[at] as number;
    if (isMerge[block] !== 0) mergeChildren[dominator[block] as number]?.push(block);
  }
  return { order, position, isHeader, isMerge, mergeChildren, isReducible };
}

function reversePostorder(successors: readonly (readonly number[])[]): number[] {
  const seen = new Uint8Array(successors.length);
  const postorder: number[] = [];
  const stack: { block: number; next: number }[] = [{ block: 0, next: 0 }];
  seen[0] = 1;
  for (let top = stack[0]; top !== undefined; top = stack[stack.length - 1]) {
    const list = successors[top.block] as readonly number[];
    const to = list[top.next++];
    if (to === undefined) {
      postorder.push(top.block);
      stack.pop();
    } else if (seen[to] === 0) {
      seen[to] = 1;
      stack.push({ block: to, next: 0 });
    }
  }
  return postorder.reverse();
}

function immediateDominators(
  order: readonly number[],
  position: Int32Array,
  predecessors: readonly (readonly number[])[],
): Int32Array {
  const dominator = new Int32Array(position.length).fill(-1);
  dominator[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order) {
      if (block === 0) continue;
      let best = -1;
      for (const from of predecessors[block] as readonly number[]) {
        if (dominator[from] === -1) continue;
        best = best === -1 ? from : commonDominator(from, best, dominator, position);
      }
      if (dominator[block] !== best) {
        dominator[block] = best;
        changed = true;
      }
    }
  }
  return dominator;
}

function commonDominator(first: number, second: number, dominator: Int32Array, position: Int32Array): number {
  let a = first;
  let b = second;
  while (a !== b) {
    while ((position[a] as number) > (position[b] as number)) a = dominator[a] as number;
    while ((position[b] as number) > (position[a] as number)) b = dominator[b] as number;
  }
  return a;
}

function dominates(above: number, block: number, dominator: Int32Array, position: Int32Array): boolean {
  let at = block;
  while ((position[at] as number) > (position[above] as number)) at = dominator[at] as number;
  return at === above;
}
