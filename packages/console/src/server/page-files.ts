import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const PAGE = new URL('../page/', import.meta.url)
/** Built files next to the bundle of an image. An image has neither the sources of the page nor esbuild. */
const BUILT = new URL('./console/', import.meta.url)

const STATIC = ['index.html', 'icon.svg'] as const
const BUNDLED = ['app.js', 'app.css'] as const
export const PAGE_FILES = [...STATIC, ...BUNDLED] as const
export type PageFile = (typeof PAGE_FILES)[number]

/** The files of the page, by name. */
export type PageFiles = ReadonlyMap<PageFile, Uint8Array>

/** Reads the built files of an image, or bundles the sources. */
export async function readPageFiles(): Promise<PageFiles> {
  return existsSync(new URL('index.html', BUILT)) ? await filesOf(PAGE_FILES, BUILT) : await bundlePage()
}

/** Bundles the sources of the page, in about half a second. */
export async function bundlePage(): Promise<PageFiles> {
  const { build } = await import('esbuild')
  const path = (name: string) => fileURLToPath(new URL(name, PAGE))
  const { outputFiles } = await build({
    entryPoints: [
      { in: path('main.tsx'), out: 'app' },
      { in: path('styles/app.css'), out: 'app' },
    ],
    outdir: 'page',
    write: false,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['es2023', 'chrome120', 'firefox121', 'safari17.2'],
    logLevel: 'silent',
  })
  const files = new Map(await filesOf(STATIC, PAGE))
  for (const name of BUNDLED) {
    const file = outputFiles.find((output) => output.path.endsWith(name))
    if (!file) throw new Error(`esbuild made no ${name}`)
    files.set(name, file.contents)
  }
  return files
}

async function filesOf(names: readonly PageFile[], folder: URL): Promise<PageFiles> {
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, folder))] as const)))
}
