import { AppError } from '../../errors.ts'
import { parsePartName } from '../gguf-parts.ts'

/** A file of a repository. */
export interface HubFile {
  /** Within the repository, with slashes. */
  path: string
  sizeBytes: number
  /** sha256 hex; null for a small file, of which the hub tells none. */
  sha256: string | null
}

/** Weights in one file or in several, of one quantisation. */
export interface HubModel {
  /** `Q4_K_M`; '' where the name does not say. */
  quantization: string
  /** All parts, in their order. */
  files: HubFile[]
}

/** What a caller gets who asks for no quantisation: the hub's own choice first, then what comes nearest to it. */
const preferred = ['Q4_K_M', 'Q4_K_S', 'Q4_K_XL', 'IQ4_XS', 'Q4_0', 'Q5_K_M', 'Q5_K_S', 'Q6_K', 'Q8_0', 'Q3_K_M']
const preferredProjectors = ['F16', 'BF16', 'Q8_0', 'F32']

const quantizationInName = /(?:^|[-._/])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_[A-Z0-9]+)*|NVFP4|BF16|F16|F32))(?=[-._/]|$)/gi

/** The models among a repository's files; a split one of which a part is missing is none. */
export function modelsOf(files: readonly HubFile[]): HubModel[] {
  const groups = new Map<string, HubFile[]>()
  for (const file of files) {
    if (!isWeights(file.path)) continue
    const part = parsePartName(file.path)
    const key = part === null ? file.path : `${part.stem} ${part.count}`
    const group = groups.get(key) ?? []
    groups.set(key, group)
    group[part?.index ?? 0] = file
  }
  return [...groups.values()]
    .filter((group) => group.length === (parsePartName(group.at(-1)?.path ?? '')?.count ?? 1) && !group.includes(undefined as never))
    .map((group) => ({ quantization: quantizationOf(group[0]?.path ?? ''), files: group }))
}

/** The model that a tag means: a quantisation or a file's name in any case, or `latest`. Throws `invalid-request` naming what there is. */
export function chooseModel(repository: string, models: readonly HubModel[], tag: string): HubModel {
  const [first] = models
  if (first === undefined) throw new AppError('invalid-request', `${repository} holds no GGUF model`)
  const wanted = tag.toLowerCase()
  const called = (name: string) =>
    models.find(({ quantization }) => quantization.toLowerCase() === name) ?? models.find(({ quantization }) => quantization.toLowerCase() === `ud-${name}`)
  const chosen =
    wanted === 'latest'
      ? (preferred.map((name) => called(name.toLowerCase())).find((model) => model !== undefined) ?? first)
      : (called(wanted) ?? models.find(({ files: [file] }) => file !== undefined && fileNames(file.path).includes(wanted)))
  if (chosen !== undefined) return chosen
  const there = [...new Set(models.map(({ quantization, files: [file] }) => quantization || (file?.path ?? '')))].sort()
  throw new AppError('invalid-request', `${repository} has no quantization ${JSON.stringify(tag)}; there are: ${there.join(', ')}`)
}

/** The projector that goes with a model: of its own folder before the repository's, the most exact of a usual size first. */
export function projectorFor(files: readonly HubFile[], model: HubModel): HubFile | null {
  const folder = folderOf(model.files[0]?.path ?? '')
  const projectors = files.filter(({ path }) => /\.gguf$/i.test(path) && isProjector(path) && (folderOf(path) === folder || folderOf(path) === ''))
  const rank = ({ path }: HubFile) => {
    const place = preferredProjectors.indexOf(quantizationOf(path))
    return (folderOf(path) === folder ? 0 : 10) + (place < 0 ? preferredProjectors.length : place)
  }
  return projectors.toSorted((a, b) => rank(a) - rank(b))[0] ?? null
}

function isWeights(path: string): boolean {
  return /\.gguf$/i.test(path) && !isProjector(path) && !/(^|[-._/])imatrix/i.test(path)
}

function isProjector(path: string): boolean {
  return /mmproj/i.test(path.slice(path.lastIndexOf('/') + 1))
}

/** The last that the name says, else the folder's: `BF16/model-00001-of-00002.gguf`. */
function quantizationOf(path: string): string {
  const stem = parsePartName(path)?.stem ?? path.replace(/\.gguf$/i, '')
  return [...stem.matchAll(quantizationInName)].at(-1)?.[1]?.toUpperCase() ?? ''
}

/** How a tag may call a file: with or without what it ends in. */
function fileNames(path: string): string[] {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  return [name, name.replace(/\.gguf$/, ''), (parsePartName(name)?.stem ?? name).toLowerCase()]
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}
