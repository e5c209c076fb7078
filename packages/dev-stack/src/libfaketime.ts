import { globSync } from 'node:fs'
import { redactedErrorMessage } from '@cashflow/runtime'
import { aptIn } from './servers/apt.ts'
import { canDownloadFromDebian, type DownloadOptions, debianFolder, fillOnce, unpack } from './servers/debian-cache.ts'

const PACKAGE = 'libfaketime'

/**
 * The library that, in LD_PRELOAD, gives a process another time (FAKETIME="+1h"): the system's, or else Debian's, which
 * apt-get downloads into the user's cache. It is the variant for processes with threads, as Node's are.
 *
 * @returns undefined where there is neither
 */
export async function fetchLibfaketime(options: DownloadOptions = {}): Promise<string | undefined> {
  const installed = find('/usr')
  const folder = debianFolder(PACKAGE)
  if (installed || !folder || !canDownloadFromDebian()) return installed
  try {
    await fillOnce(folder, options, async (work) => {
      options.log?.('downloading libfaketime with apt-get')
      const apt = aptIn(work, options.signal)
      await apt('apt-get', ['update'])
      await apt('apt-get', ['download', PACKAGE])
      await unpack(work)
    })
  } catch (error) {
    options.signal?.throwIfAborted()
    options.log?.(`apt-get could not download libfaketime: ${redactedErrorMessage(error)}`)
    return undefined
  }
  return find(`${folder}/usr`)
}

function find(root: string): string | undefined {
  return globSync(`${root}/{lib,lib64,lib/*-linux-gnu*}/faketime/libfaketimeMT.so.1`)[0]
}
