import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'examples/**/*.test.ts'],
    // What a user imports from the package.
    alias: { poolproof: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
    testTimeout: 60_000,
    pool: 'forks',
  },
});
