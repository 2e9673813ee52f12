import type { ComponentChildren, JSX } from 'preact';

interface Properties {
  readonly label: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** Text with lines of its own, which may be longer than the page is wide. */
export function ScrolledText({ label, class: name = '', children }: Properties): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled from the keyboard too
    <pre role="group" tabIndex={0} aria-label={label} class={name}>
      {children}
    </pre>
  );
}
