import { expect } from 'chai'

/** The head of a table. */
const HEAD = /^[a-z_]+( {2,}[a-z_]+){2,}$/
/** The name of a fact, in front of its value. */
const NAME = /^ {0,2}([a-z][a-z_ ]*?) {2,}\S/
const AGE = /^ *[a-z_ ]+ {2,}\d{4}-\d\d-\d\dT\S+Z \((in \S.*|\S.* ago)\)/
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/

interface Shape {
  /** Names of members of JSON, heads of tables, and names of facts. */
  readonly names: readonly string[]
  /** Findings, without the values of this run. */
  readonly findings: readonly string[]
}

function shapeOf(text: string): Shape {
  const lines = text.trim().split('\n')
  const [first = ''] = lines
  if (HEAD.test(first)) return { names: [first.replaceAll(/ +/g, ' ')], findings: [] }
  const findings = lines.filter((line) => UUID.test(line))
  return {
    names: [...new Set(lines.flatMap(namesOf))],
    findings: findings.map((line) => line.replace(UUID, '').replaceAll(/"[^"]*"/g, '""')),
  }
}

function namesOf(line: string): string[] {
  if (line.startsWith('{')) return Object.keys(JSON.parse(line))
  const [, name] = NAME.exec(line) ?? []
  return name === undefined ? [] : [AGE.test(line) ? `${name} with its age` : name]
}

/** Compares what a command has printed with what a page shows: not the values, but what is there and how it is named. */
export function expectShape(printed: string, shown: string): void {
  const [is, shouldBe] = [shapeOf(printed), shapeOf(shown)]
  expect(is.findings, printed).to.include.members(shouldBe.findings)
  if (shouldBe.findings.length === 0) expect(is.names, printed).to.deep.equal(shouldBe.names)
}
