import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import remarkGfm from 'remark-gfm'
import remarkParse from 'remark-parse'
import { unified } from 'unified'
import { visit } from 'unist-util-visit'
import { REPOSITORY } from './repository.ts'

export interface DocumentedCommand {
  /** Where it stands, as `docs/operations.md:218`. */
  readonly place: string
  /** The arguments of `cashflow`, such as `['dead', 'list']`. */
  readonly args: readonly string[]
  /** What the page shows as its output: a block without a language, right behind the command. */
  readonly output?: string
}

const markdown = unified().use(remarkParse).use(remarkGfm)

/** Each way to run a command. What it captures is the first argument of `cashflow`. */
const WAYS = [
  /\bnpm run (?:-s |--silent )?cashflow -- /,
  /\bnpm run (?:-s |--silent )?(dead|settle) -- /,
  /(?:--rm migrate|cashflow-migrate) cashflow /,
  /(?:--rm migrate|cashflow-migrate) (dead|settle) /,
  /^\s*cashflow /,
]

/** The commands of `cashflow` that Markdown pages show: in blocks of code, and in code within a sentence. */
export function documentedCommands(): DocumentedCommand[] {
  const files = execFileSync('git', ['ls-files', '*.md'], { cwd: REPOSITORY, encoding: 'utf8' }).trim().split('\n')
  return files
    .filter((file) => file !== 'CHANGELOG.md' && !file.startsWith('docs/decisions/'))
    .flatMap((file) => commandsOf(readFileSync(join(REPOSITORY, file), 'utf8'), file))
}

export function commandsOf(page: string, file: string): DocumentedCommand[] {
  const found: DocumentedCommand[] = []
  visit(markdown.parse(page), (node, index = 0, parent = undefined) => {
    if (node.type !== 'code' && node.type !== 'inlineCode') return
    if (node.type === 'code' && !node.lang) {
      const last = found.at(-1)
      const before = parent?.children[index - 1]?.position
      if (last && before && before.start.line <= lineOf(last) && lineOf(last) <= before.end.line)
        found.splice(-1, 1, { ...last, output: node.value })
    }
    const first = (node.position?.start.line ?? 0) + (node.type === 'code' ? 1 : 0)
    // A backslash at its end continues a line. It stays one line of the page, for the numbers of the others.
    const lines = node.value.replaceAll(/\\\n/g, ' \u0000').split('\n')
    let line = first
    for (const text of lines) {
      const args = argumentsOf(text.replaceAll('\u0000', ''))
      if (args) found.push({ place: `${file}:${line}`, args })
      line += text.split('\u0000').length
    }
  })
  return found
}

const lineOf = ({ place }: DocumentedCommand) => Number(place.slice(place.lastIndexOf(':') + 1))

/** Undefined if the line runs no command of `cashflow`. */
function argumentsOf(line: string): string[] | undefined {
  for (const way of WAYS) {
    const match = way.exec(line)
    if (match) return [...match.slice(1), ...shellWords(line.slice(match.index + match[0].length))]
  }
  return undefined
}

/** A word with its quotes, or a character that ends the command. */
const WORD = /\s*(?:((?:'[^']*'|"[^"]*"|[^\s'"|;&<>()#]|(?<=\S)#)+)|([|;&<>()#]))/y

/** The words of the first command of a shell's line. */
function shellWords(text: string): string[] {
  const words: string[] = []
  WORD.lastIndex = 0
  for (let match = WORD.exec(text); match?.[1]; match = WORD.exec(text))
    words.push(match[1].replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double))
  return words
}
