import { build } from 'esbuild'

// Images hold one file a process: Node does not strip types under node_modules, and a bundle leaves out what no process runs.
await build({
  entryPoints: {
    api: 'services/api/src/main.ts',
    relay: 'services/relay/src/main.ts',
    worker: 'services/worker/src/main.ts',
    migrate: 'db/src/migrate-main.ts',
    cashflow: 'packages/cli/src/main.ts',
  },
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // The CommonJS packages among the dependencies call require for Node's own modules.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  // Names and places in a stack trace are those of the sources.
  keepNames: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
})
