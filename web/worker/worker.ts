/** The worker's entry. The decoder's WebAssembly is on its way before the code that waits for it is read. */

/** What web/build.mjs has the decoder's package take its file from. */
declare global {
  var decoderFile: Promise<Response> | undefined;
}

globalThis.decoderFile = fetch(new URL('./iced_x86_bg.wasm', import.meta.url));
await import('./requests.ts');
