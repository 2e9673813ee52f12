/** The page's start. With `?sample=NAME` that sample is opened and run. */
import { render } from 'preact';
import { addFiles, openSample, show, start } from './actions.ts';
import { App } from './app.tsx';
import { droppedFiles } from './files.ts';
import { loadOffered, loadSamples } from './samples.ts';
import * as state from './state.ts';
import './style.css';
import 'uplot/dist/uPlot.min.css';

const root = document.getElementById('page');
if (root !== null) render(<App />, root);

// Anywhere: a browser would go to a file that is dropped beside the place for it.
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('is-dragging');
});
document.addEventListener('dragleave', () => document.body.classList.remove('is-dragging'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('is-dragging');
  if (event.dataTransfer === null) return;
  show('drivers');
  void droppedFiles(event.dataTransfer).then((files) => addFiles(files));
});

const wanted = new URLSearchParams(location.search).get('sample');
await Promise.all([loadSamples(), loadOffered()]);
if (wanted !== null) {
  const sample = state.samples.value.find(({ name }) => name === wanted);
  if (sample === undefined) {
    state.problem.value = { message: `there is no sample '${wanted}'`, isOurs: false };
  } else {
    await openSample(sample);
    if (state.drivers.value.length > 0) start();
  }
}
