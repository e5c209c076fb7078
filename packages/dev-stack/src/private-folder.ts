import { lstatSync, mkdirSync } from 'node:fs'

/** Anybody may write to /var/tmp, so a folder there that is not our own was put there by somebody else. */
export function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`${folder} must be a folder of the user who runs this`)
  }
  return folder
}
