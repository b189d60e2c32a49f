import { defineConfig } from 'vite';

// Relative: the page lies wherever it is mapped. The mock server stands in for a control plane (npm run mock; npm run dev).
export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  build: { target: 'es2022', cssTarget: 'chrome111', outDir: 'dist', emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
  server: { host: '127.0.0.1', proxy: { '/api': process.env.MESH_API ?? 'http://127.0.0.1:15914' } },
  test: { environment: 'node', include: ['test/**/*.test.ts'], testTimeout: 10_000, pool: 'threads' },
} as never);
