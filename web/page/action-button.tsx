/** A button that is in its place also while it can do nothing. */
import type { ComponentChildren, JSX } from 'preact';

/** Not `disabled`: the focus would be lost each time that the machine begins to run. */
export function ActionButton(props: {
  readonly isPossible: boolean;
  readonly act: (event: MouseEvent) => void;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { isPossible, act, children } = props;
  return (
    <button
      type="button"
      class={props.class}
      aria-disabled={!isPossible}
      onClick={(event) => {
        if (isPossible) act(event);
      }}
    >
      {children}
    </button>
  );
}
