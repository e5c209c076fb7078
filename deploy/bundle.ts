import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'
import { bundlePage } from '../packages/console/src/server/page-files.ts'

// One file for each process of the images: Node does not strip types under node_modules, and a bundle leaves out unused code.
await build({
  entryPoints: {
    api: 'services/api/src/main.ts',
    relay: 'services/relay/src/main.ts',
    worker: 'services/worker/src/main.ts',
    webhooks: 'services/webhooks/src/main.ts',
    migrate: 'db/src/migrate-main.ts',
    cashflow: 'packages/cli/src/main.ts',
  },
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // The api bundles the console's page from its sources only. An image has the built files below.
  external: ['esbuild'],
  // The CommonJS packages among the dependencies call require for Node's own modules.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  // Stack traces show names and positions of the sources.
  keepNames: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
})

// The files of the page /docs. The api finds them as Node finds a package.
const swaggerUi = 'node_modules/swagger-ui-dist'
for (const name of [
  ...['package.json', 'swagger-ui.css', 'swagger-ui-bundle.js'],
  ...['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'],
])
  cpSync(`services/api/${swaggerUi}/${name}`, `dist/${swaggerUi}/${name}`)

// The console's page. The api finds it next to its bundle.
mkdirSync('dist/console', { recursive: true })
for (const [name, bytes] of await bundlePage()) writeFileSync(`dist/console/${name}`, bytes)
