import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { ConfigError } from './config-error.ts'

const QUOTED = /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=)[ \t]*(["'`])([\s\S]*?)\2(.*)$/gm
const COMMENT = /^[ \t]*(#.*)?$/
const ASSIGNMENT = /^[ \t]*(export[ \t]+)?[\w.-]+[ \t]*=.*$/

/**
 * The variables of a file with lines `NAME=value`, in UTF-8 with or without a byte order mark. None where there is no file.
 *
 * @throws ConfigError that names the file, and the line of what would be lost: Node's parser passes over it in silence
 */
export function readEnvFile(file: string): NodeJS.Dict<string> {
  const text = readText(file).replaceAll('\r\n', '\n')
  // A quoted value may have several lines. Nothing but a comment may follow it.
  const unquoted = text.replace(QUOTED, (_all, name: string, _quote, value: string, rest: string) => {
    const lines = value.replace(/[^\n]+/g, '')
    return COMMENT.test(rest) ? `${name}${lines.replaceAll('\n', '\n#')}` : `?${lines}`
  })
  const lost = unquoted.split('\n').findIndex((line) => !COMMENT.test(line) && !ASSIGNMENT.test(line))
  if (lost >= 0) throw new ConfigError([`${file}: line ${lost + 1} is not NAME=value`])
  return parseEnv(text)
}

function readText(file: string): string {
  const bytes = readBytes(file)
  try {
    // It leaves a byte order mark out.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // The same as with a NUL, which is half a character of UTF-16.
  }
  throw new ConfigError([`${file}: must be a text in UTF-8`])
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return new Uint8Array()
    throw new ConfigError([`${file}: cannot be read: ${code}`])
  }
}
