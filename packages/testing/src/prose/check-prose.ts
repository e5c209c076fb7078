import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { REPOSITORY } from '../repository.ts'
import { paragraphsOf, sentencesOf, wordsOf } from './document.ts'
import { commentsOf, titlesOf } from './source.ts'
import { discouragedWords } from './words.ts'

const SENTENCE_WORDS_MAX = 35
const PARAGRAPH_WORDS_MAX = 80
const AVERAGE_WORDS_MAX = 17

/**
 * `npm run check` runs it: holds the rules of CONTRIBUTING.md on English. Prints each place that breaks one, as
 * `file:line: …`, and exits with 1. With `--counts` it prints the counts of each page instead.
 */
const files = execFileSync(
  'git',
  ['ls-files', '*.md', '*.ts', '*.sql', '*.yml', 'pnpm-workspace.yaml', 'Dockerfile', '.ci/run'],
  {
    cwd: REPOSITORY,
    encoding: 'utf8',
  },
)
const texts = files
  .trim()
  .split('\n')
  .map((file) => ({ file, text: readFileSync(join(REPOSITORY, file), 'utf8') }))
const pages = texts.filter(({ file }) => file.endsWith('.md')).map(({ file, text }) => ({ file, ...readPage(text) }))

if (process.argv.includes('--counts')) printCounts()
else {
  const sources = texts.filter(({ file }) => !file.endsWith('.md'))
  const problems = [
    ...pages.flatMap((page) => [...problemsOfPage(page)]),
    ...sources.flatMap((source) => [...problemsOfSource(source)]),
  ]
  process.stdout.write(problems.map((problem) => `${problem}\n`).join(''))
  process.exitCode = problems.length > 0 ? 1 : 0
}

function readPage(text: string) {
  const paragraphs = paragraphsOf(text)
  const lengths = paragraphs
    .filter(({ isCell }) => !isCell)
    .flatMap((paragraph) => sentencesOf(paragraph.text).map(wordsOf))
  const words = lengths.reduce((sum, length) => sum + length, 0)
  return {
    paragraphs,
    sentences: lengths.length,
    longest: Math.max(0, ...lengths),
    average: words / (lengths.length || 1),
  }
}

function* problemsOfPage({ file, paragraphs, average }: (typeof pages)[number]): Generator<string> {
  if (average > AVERAGE_WORDS_MAX)
    yield `${file}: ${average.toFixed(1)} words a sentence, more than ${AVERAGE_WORDS_MAX}`
  for (const { text, line } of paragraphs) {
    const words = wordsOf(text)
    if (words > PARAGRAPH_WORDS_MAX)
      yield `${file}:${line}: a paragraph of ${words} words, more than ${PARAGRAPH_WORDS_MAX}`
    for (const sentence of sentencesOf(text)) yield* problemsOfSentence(sentence, `${file}:${line}`)
  }
}

function* problemsOfSource({ file, text }: (typeof texts)[number]): Generator<string> {
  for (const comment of commentsOf(text, file))
    for (const sentence of sentencesOf(comment.text)) yield* problemsOfSentence(sentence, `${file}:${comment.line}`)
  if (file.endsWith('.test.ts'))
    for (const title of titlesOf(text)) yield* problemsOfSentence(title.text, `${file}:${title.line}`)
}

function* problemsOfSentence(sentence: string, place: string): Generator<string> {
  const words = wordsOf(sentence)
  if (words > SENTENCE_WORDS_MAX)
    yield `${place}: a sentence of ${words} words, more than ${SENTENCE_WORDS_MAX}: ${sentence}`
  for (const { word, instead } of discouragedWords(sentence)) yield `${place}: “${word}” (${instead}): ${sentence}`
}

function printCounts(): void {
  for (const { file, sentences, average, longest, paragraphs } of pages)
    process.stdout.write(
      `${file}: ${paragraphs.reduce((sum, { text }) => sum + wordsOf(text), 0)} words, ${sentences} sentences, ` +
        `${average.toFixed(1)} words a sentence, ${longest} in the longest\n`,
    )
}
