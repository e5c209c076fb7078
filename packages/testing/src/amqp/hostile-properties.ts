import { bytes, long, longText, short, shortText } from './bytes.ts'

/** Property flags of a message: they name the properties that follow. */
const HEADERS = short(0x2000)
const HEADERS_AND_MESSAGE_ID = short(0x2080)
const ALL = short(0xfffc)

const value = (tag: string, ...parts: Buffer[]) => Buffer.concat([Buffer.from(tag), ...parts])
const sized = (...parts: Buffer[]) => Buffer.concat([long(Buffer.concat(parts).length), ...parts])
const entry = (key: string, given: Buffer) => Buffer.concat([shortText(key), given])
const headers = (...entries: Buffer[]) => Buffer.concat([HEADERS, sized(...entries)])

function nested(depth: number, wrap: (inner: Buffer) => Buffer): Buffer {
  let inner: Buffer = value('V')
  for (let level = 0; level < depth; level++) inner = wrap(inner)
  return inner
}
const arrays = (depth: number) => nested(depth, (inner) => value('A', sized(inner)))
const tables = (depth: number) => nested(depth, (inner) => value('F', sized(entry('a', inner))))

/** Properties, with their flags, that a foreign producer might put on a message. */
export const HOSTILE_PROPERTIES: Readonly<Record<string, Buffer>> = {
  'arrays, 6,000 deep': headers(entry('deep', arrays(6_000))),
  'tables, 6,000 deep': headers(entry('deep', tables(6_000))),
  'an unknown type': headers(entry('odd', value('Z', long(1)))),
  'a table that is longer than its size': Buffer.concat([HEADERS, long(3), entry('a', value('V'))]),
  'a table that is shorter than its size': Buffer.concat([HEADERS, long(1_000), entry('a', value('V'))]),
  'a table of 4 GB': Buffer.concat([HEADERS, long(0xffffffff), entry('a', value('V'))]),
  'a key that ends after its table': headers(bytes(200), Buffer.from('key')),
  'a text that ends after its table': headers(entry('a', value('S', long(5_000), Buffer.from('text')))),
  'an array that ends after its table': headers(entry('a', value('A', long(5_000), value('V')))),
  'an inner table that ends in the middle of a value': headers(
    entry('a', value('F', sized(entry('b', value('l', long(1)))))),
  ),
  'an array that ends in the middle of a value': headers(entry('a', value('A', sized(value('I', short(1)))))),
  'a key without a value': headers(shortText('a')),
  'a double that is NaN': headers(entry('a', value('d', bytes(0x7f, 0xf8, 0, 0, 0, 0, 0, 1)))),
  'a key named __proto__': headers(
    entry('__proto__', value('F', sized(entry('x-request-id', value('S', longText('r')))))),
  ),
  'flags of all properties, without any property': ALL,
  'a message id that ends after the frame': Buffer.concat([
    HEADERS_AND_MESSAGE_ID,
    sized(),
    bytes(255),
    Buffer.from('id'),
  ]),
  'a message id that is no UTF-8': Buffer.concat([HEADERS_AND_MESSAGE_ID, sized(), bytes(3, 0xff, 0x00, 0xfe)]),
  'flags that continue in a second word': Buffer.concat([short(0x2001), short(0xffff), sized()]),
  'half of the flags': bytes(0x20),
  'no flags at all': bytes(),
  noise: Buffer.concat([short(0xfffc), Buffer.alloc(300, 0xf7)]),
}
