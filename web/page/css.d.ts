/** Bundled into page.css by the build. */
declare module '*.css';
