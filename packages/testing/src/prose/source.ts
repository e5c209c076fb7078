import { defined } from '@cashflow/async'

interface Remark {
  readonly text: string
  readonly line: number
}

const COMMENT = /^[ \t]*\/\*\*?([\s\S]*?)\*\/|(?:^[ \t]*\/\/.*\n?)+|[ \t]\/\/ .*$/gm
const SQL_COMMENT = /(?:^[ \t]*--.*\n?)+|[ \t]-- .*$/gm
const HASH_COMMENT = /(?:^[ \t]*#(?!!).*\n?)+|[ \t]# .*$/gm
const TITLE = /\b(?:describe|it)\(\s*(['"`])((?:\\.|(?!\1)[\s\S])*)\1/g

/** Comments of a source file. Consecutive lines are one comment. Each tag and each list item of a docstring is another. */
export function commentsOf(source: string, file: string): Remark[] {
  return [...source.matchAll(commentIn(file))].flatMap((match) => {
    const line = lineAt(source, match.index)
    const text = match[0].replaceAll(/^[ \t]*(\/\*\*?|\*\/?|\/\/|--|#)[ \t]?|\*\/$/gm, '')
    return text
      .replaceAll(/`[^`]*`/g, 'Code')
      .split(/^(?:@\w+|-) /m)
      .map((part) => ({ text: part.replaceAll(/\s+/g, ' ').trim(), line }))
      .filter((comment) => comment.text !== '' && !comment.text.startsWith('biome-ignore'))
  })
}

function commentIn(file: string): RegExp {
  if (file.endsWith('.ts')) return COMMENT
  return file.endsWith('.sql') ? SQL_COMMENT : HASH_COMMENT
}

export function titlesOf(source: string): Remark[] {
  return [...source.matchAll(TITLE)].map((match) => ({
    text: defined(match[2], 'title of a test'),
    line: lineAt(source, match.index),
  }))
}

function lineAt(source: string, index: number): number {
  return source.slice(0, index).split('\n').length
}
