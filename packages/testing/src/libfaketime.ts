import { globSync } from 'node:fs'
import { errorMessage } from '@cashflow/async'
import { fetchDebianPackage } from '@cashflow/dev-stack'

/**
 * Finds the library that, in LD_PRELOAD, gives a process another time (FAKETIME="+1h"). It is installed, or else
 * Debian's, which apt-get downloads. The variant is that for processes with threads, such as Node's.
 *
 * @returns undefined where there is neither
 */
export async function fetchLibfaketime({ log }: { log?: (line: string) => void } = {}): Promise<string | undefined> {
  const installed = find('/usr')
  if (installed) return installed
  try {
    const folder = await fetchDebianPackage('libfaketime', { ...(log && { log }) })
    return folder && find(`${folder}/usr`)
  } catch (error) {
    log?.(`apt-get could not download libfaketime: ${errorMessage(error)}`)
    return undefined
  }
}

function find(root: string): string | undefined {
  return globSync(`${root}/{lib,lib64,lib/*-linux-gnu*}/faketime/libfaketimeMT.so.1`)[0]
}
