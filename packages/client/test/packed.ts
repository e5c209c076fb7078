import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createPackageFromTarballData } from '@arethetypeswrong/core'
import { defined } from '@cashflow/async'
import { REPOSITORY } from '@cashflow/testing'

export const run = promisify(execFile)

/** Builds and packs the client as for a registry, and installs it in a folder of its own. */
export async function installPacked() {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-client-'))
  await run('pnpm', ['pack', '--pack-destination', dir], { cwd: join(REPOSITORY, 'packages/client') })
  const tarball = await readFile(join(dir, defined((await readdir(dir))[0], 'tarball')))
  const unpacked = createPackageFromTarballData(tarball)
  for (const path of unpacked.listFiles()) {
    const file = join(dir, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, unpacked.readFile(path))
  }
  const installed = join(dir, 'node_modules/@cashflow/client')
  return { dir, installed, tarball, remove: () => rm(dir, { recursive: true }) }
}

/** The machine's own Node, which is the oldest one here: Node 20 or newer. Packages' scripts have Node 24. */
export function machineNode(): string {
  const folders = defined(process.env.PATH, 'PATH').split(delimiter)
  const own = folders.filter((folder) => folder.startsWith('/') && !folder.includes('node_modules'))
  return defined(own.map((folder) => join(folder, 'node')).find(existsSync), "the machine's Node on the PATH")
}
