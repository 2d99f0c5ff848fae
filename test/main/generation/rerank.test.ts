import { describe, expect, test } from 'vitest'
import { joined } from '../../../main/generation/rerank.ts'

// Ids of BERT's [CLS] and [SEP] and of RoBERTa's <s> and </s>.
const bert = { bosToken: 101, eosToken: -1, sepToken: 102, addsBos: true, addsEos: true, addsSep: false }
const roberta = { bosToken: 0, eosToken: 2, sepToken: 2, addsBos: true, addsEos: true, addsSep: true }

describe('joined()', () => {
  test('puts the end token, or where there is none the separator, after query and document', () => {
    expect(joined(bert, [7, 8], [9], 512)).toEqual({ tokens: [101, 7, 8, 102, 9, 102], truncated: false })
  })

  test('puts end and separator between the two where the vocabulary asks for both', () => {
    expect(joined(roberta, [7], [9], 512).tokens).toEqual([0, 7, 2, 2, 9, 2])
  })

  test('cuts the end of a document that does not fit, and says so; the closing token stays', () => {
    expect(joined(bert, [7], [1, 2, 3, 4], 6)).toEqual({ tokens: [101, 7, 102, 1, 2, 102], truncated: true })
  })

  test('takes an empty document', () => {
    expect(joined(bert, [7], [], 4)).toEqual({ tokens: [101, 7, 102, 102], truncated: false })
  })

  test('refuses a query that leaves no room for the document', () => {
    expect(() => joined(bert, [1, 2, 3], [9], 6)).toThrow('the query takes 6 of the 6 tokens')
  })
})
