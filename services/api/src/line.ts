/** What stands in one line at most. */
export interface Member<Self extends Member<Self>> {
  line: Line<Self> | undefined
  before: Self | undefined
  after: Self | undefined
}

/** First in, first out; a member may leave from any place. Each operation takes the same time, however long the line is. */
export class Line<Self extends Member<Self>> {
  #first: Self | undefined
  #last: Self | undefined

  get first(): Self | undefined {
    return this.#first
  }

  add(member: Self): void {
    member.line = this
    member.before = this.#last
    if (this.#last) this.#last.after = member
    else this.#first = member
    this.#last = member
  }

  delete(member: Self): void {
    if (member.line !== this) return
    if (member.before) member.before.after = member.after
    else this.#first = member.after
    if (member.after) member.after.before = member.before
    else this.#last = member.before
    member.line = undefined
    member.before = undefined
    member.after = undefined
  }
}
