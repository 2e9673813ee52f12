/** The lists of drivers that come with the page or, if `poolproof manager` serves it, from its command line. */

import type { OfferedDriver, Sample } from './state.ts';
import * as state from './state.ts';

export async function loadSamples(): Promise<void> {
  const list = await json('samples.json');
  if (list !== undefined) state.samples.value = list as readonly Sample[];
}

/** A page on a static host has nobody to ask. */
export async function loadOffered(): Promise<void> {
  const place = document.querySelector<HTMLMetaElement>('meta[name="poolproof-drivers"]')?.content;
  if (place === undefined) return;
  const list = await json(place);
  if (list !== undefined) state.offered.value = list as readonly OfferedDriver[];
}

async function json(url: string): Promise<unknown> {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return await response.json();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    state.problem.value = { message: `${url} could not be loaded: ${reason}`, isOurs: false };
    return undefined;
  }
}
