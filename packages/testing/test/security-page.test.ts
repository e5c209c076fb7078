import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'

const PAGE = join(REPOSITORY, 'docs/security.md')
const RISKS = 10

describe('docs/security.md', () => {
  const [, ...sections] = readFileSync(PAGE, 'utf8').split(/^## API/m)

  it('docs/security.md has each risk of the OWASP API Security Top 10, with at least one test', () => {
    expect(sections.map((section) => Number.parseInt(section, 10))).to.deep.equal(
      Array.from({ length: RISKS }, (_, index) => index + 1),
    )
    for (const section of sections) expect(testsOf(section), section.split('\n', 1)[0]).to.not.be.empty
  })

  it('docs/security.md names tests by their files and by the beginnings of their titles', () => {
    for (const { title, file } of sections.flatMap(testsOf)) {
      expect(existsSync(file), file).to.equal(true)
      const source = readFileSync(file, 'utf8')
      const quoted = ["'", '`', '"'].map((quote) => `it(${quote}${title}`)
      expect(
        quoted.filter((beginning) => source.includes(beginning)),
        `${title} in ${file}`,
      ).to.have.length(1)
    }
  })
})

function testsOf(section: string): { title: string; file: string }[] {
  const links = section.matchAll(/^- \[(.+)\]\((\S+\.test\.ts)\)$/gm)
  return [...links].map(([, title = '', path = '']) => ({ title, file: resolve(PAGE, '..', path) }))
}
