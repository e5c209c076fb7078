/** One loop of a process, or one piece of work that ends by itself. It shows whether it still makes progress. */
export class Loop {
  readonly name: string
  #turns = 0
  #waits = 0

  constructor(name: string) {
    this.name = name
  }

  /** Changes with each beat. */
  get turns(): number {
    return this.#turns
  }

  /** True while the loop waits for something that may take any time. */
  get isWaiting(): boolean {
    return this.#waits > 0
  }

  /** Has to be called on each turn, and when a wait of less than two minutes begins. */
  beat(): void {
    this.#turns += 1
  }

  /** Waits for something that may take any time, such as the return of a server. It is no sign of a hung loop. */
  async outwait<Result>(wait: Promise<Result>): Promise<Result> {
    this.#waits += 1
    try {
      return await wait
    } finally {
      this.#waits -= 1
      this.beat()
    }
  }
}

/** The loops of one part of a process that run at present. */
export class Loops {
  readonly #running = new Set<Loop>()

  begin(name: string): Loop {
    const loop = new Loop(name)
    this.#running.add(loop)
    return loop
  }

  end(loop: Loop): void {
    this.#running.delete(loop)
  }

  clear(): void {
    this.#running.clear()
  }

  /** Watches work whose waits have limits, so that it ends within two minutes. */
  async track<Result>(name: string, work: Promise<Result>): Promise<Result> {
    const loop = this.begin(name)
    try {
      return await work
    } finally {
      this.end(loop)
    }
  }

  [Symbol.iterator](): Iterator<Loop> {
    return this.#running.values()
  }
}
