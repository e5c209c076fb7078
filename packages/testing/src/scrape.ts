/** A metric of a scrape. */
export interface ScrapedMetric {
  readonly type: string
  readonly help: string
  /** Names of the labels of its samples, without `le`. */
  readonly labels: readonly string[]
  /** Values by the sample's name and labels, as in the text. */
  readonly samples: ReadonlyMap<string, number>
}

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="(?:[^"\\]|\\.)*"/g

/** Scrapes a process as Prometheus does, and returns its metrics by name. */
export async function scrape(adminUrl: string): Promise<Map<string, ScrapedMetric>> {
  const response = await fetch(`${adminUrl}/metrics`)
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`)
  const metrics = new Map<string, ScrapedMetric>()
  for (const part of (await response.text()).split(/^# HELP /m).slice(1)) {
    const [first = '', typeLine = '', ...lines] = part.trimEnd().split('\n')
    const [name = '', ...help] = first.split(' ')
    const found = lines.flatMap((line) => SAMPLE.exec(line) ?? [])
    if (found.length !== 4 * lines.filter((line) => line !== '').length) throw new Error(`not readable: ${part}`)
    const samples = new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
    const labels = new Set(
      [...samples.keys()].flatMap((key) => [...key.matchAll(LABEL)].map(([, label = '']) => label)),
    )
    labels.delete('le')
    metrics.set(name, { type: typeLine.split(' ').at(-1) ?? '', help: help.join(' '), labels: [...labels], samples })
  }
  return metrics
}
