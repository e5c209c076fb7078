import { defined } from '@cashflow/async'
import { toString as textOf } from 'mdast-util-to-string'
import remarkGfm from 'remark-gfm'
import remarkParse from 'remark-parse'
import { unified } from 'unified'
import { visit } from 'unist-util-visit'

interface Paragraph {
  readonly text: string
  readonly line: number
  /** Cells of tables hold facts: their sentences are checked, and do not count for averages. */
  readonly isCell: boolean
}

const markdown = unified().use(remarkParse).use(remarkGfm)
const sentences = new Intl.Segmenter('en', { granularity: 'sentence' })

/** Paragraphs of a Markdown page, list items and table cells among them. Code in them is one word, code blocks are left out. */
export function paragraphsOf(page: string): Paragraph[] {
  const found: Paragraph[] = []
  const tree = markdown.parse(page)
  visit(tree, 'inlineCode', (node) => {
    // Code may begin a sentence. The segmenter ends no sentence before a lower-case letter.
    node.value = 'Code'
  })
  visit(tree, (node) => {
    if (node.type !== 'paragraph' && node.type !== 'tableCell') return
    found.push({
      text: textOf(node).replaceAll(/\s+/g, ' '),
      line: defined(node.position, 'position of a paragraph').start.line,
      isCell: node.type === 'tableCell',
    })
  })
  return found
}

export function sentencesOf(text: string): string[] {
  return [...sentences.segment(text)].map(({ segment }) => segment.trim()).filter((segment) => wordsOf(segment) > 0)
}

export function wordsOf(text: string): number {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length
}
