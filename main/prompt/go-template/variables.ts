import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Message, Think, Tool, ToolCall } from '../messages.ts'
import { fromJson, GoBytes, GoList, GoMap, GoStruct, type Value } from './values.ts'

/** A conversation as a template sees it: `Messages`. */
export function messageList(messages: Message[]): GoList {
  return new GoList('[]*template.templateMessage', messages.map(messageStruct))
}

function messageStruct(message: Message): GoStruct {
  const images = message.images ?? []
  const calls = message.toolCalls ?? []
  return new GoStruct('*template.templateMessage', {
    Role: message.role,
    Content: message.content,
    Thinking: message.thinking ?? '',
    Images: new GoList('[]api.ImageData', images.length > 0 ? images.map((bytes) => new GoBytes(bytes)) : null),
    ToolCalls: new GoList('[]template.templateToolCall', calls.length > 0 ? calls.map(toolCallStruct) : null),
    ToolName: message.toolName ?? '',
    ToolCallID: message.toolCallId ?? '',
  })
}

function toolCallStruct(call: ToolCall): GoStruct {
  const callArguments = new Map(Object.entries(call.arguments).map(([key, value]) => [key, fromJson(value)]))
  return new GoStruct('template.templateToolCall', {
    ID: call.id,
    Function: new GoStruct('template.templateToolCallFunction', {
      Index: BigInt(call.index),
      Name: call.name,
      Arguments: new GoMap('template.templateArgs', callArguments, { printsAsJson: true }),
    }),
  })
}

/** The declared tools as a template sees them: `Tools`. The keys of schemas keep the client's order, and unknown keywords stay. */
export function toolList(tools: Tool[]): GoList {
  return new GoList('template.templateTools', tools.length > 0 ? tools.map(toolStruct) : null, { printsAsJson: true })
}

function toolStruct(tool: Tool): GoStruct {
  const { type, items, function: fn, ...others } = tool
  const { name, description, parameters, ...functionOthers } = fn
  const described = typeof description === 'string' ? description : ''
  const parametersJson = schemaJson(isJsonObject(parameters) ? parameters : {})
  const functionJson: JsonObject = { name, description: described, parameters: parametersJson, ...functionOthers }
  const source: JsonObject = { type, ...(items === undefined ? {} : { items }), function: functionJson, ...others }
  return new GoStruct(
    'template.templateTool',
    {
      Type: type,
      Items: fromJson(items ?? null),
      Function: new GoStruct(
        'template.templateToolFunction',
        { Name: name, Description: described, Parameters: parametersStruct(parametersJson) },
        { source: functionJson },
      ),
    },
    { source, printsAsJson: true },
  )
}

/** The parameters with their keywords in the order in which Ollama writes them, then those that it does not know. */
function schemaJson(parameters: JsonObject): JsonObject {
  const { type = '', $defs, items, required, properties = null, ...others } = parameters
  return {
    type,
    ...($defs === undefined ? {} : { $defs }),
    ...(items === undefined ? {} : { items }),
    ...(required === undefined ? {} : { required }),
    properties,
    ...others,
  }
}

function parametersStruct(parameters: JsonObject): GoStruct {
  return new GoStruct(
    'template.templateToolFunctionParameters',
    {
      Type: typeText(parameters.type),
      Defs: fromJson(parameters.$defs ?? null),
      Items: fromJson(parameters.items ?? null),
      Required: stringList(parameters.required),
      Properties: propertiesMap(parameters.properties),
    },
    { source: parameters },
  )
}

function propertiesMap(properties: Json | undefined): GoMap {
  const type = 'template.templateProperties'
  if (!isJsonObject(properties)) return new GoMap(type, null, { printsAsJson: true })
  const entries = new Map(Object.entries(properties).map(([name, schema]) => [name, propertyStruct(schema)]))
  return new GoMap(type, entries, { printsAsJson: true, zero: propertyStruct({}), source: properties })
}

function propertyStruct(schema: Json): GoStruct {
  const property = isJsonObject(schema) ? schema : {}
  return new GoStruct(
    'api.ToolProperty',
    {
      AnyOf: new GoList('[]api.ToolProperty', Array.isArray(property.anyOf) ? property.anyOf.map(propertyStruct) : null),
      Type: typeText(property.type),
      Items: fromJson(property.items ?? null),
      Description: typeof property.description === 'string' ? property.description : '',
      Enum: new GoList('[]interface {}', Array.isArray(property.enum) ? property.enum.map(fromJson) : null),
      Properties: propertiesMap(property.properties),
      Required: stringList(property.required),
    },
    { source: schema, methods: { ToTypeScriptType: () => typeScriptType(property) } },
  )
}

/** `string`, or `[number string]` for several. */
function typeText(type: Json | undefined): string {
  if (typeof type === 'string') return type
  const types = Array.isArray(type) ? type.filter((item) => typeof item === 'string') : []
  return types.length > 1 ? `[${types.join(' ')}]` : (types[0] ?? '')
}

function stringList(json: Json | undefined): GoList {
  return new GoList('[]string', Array.isArray(json) ? json.filter((item) => typeof item === 'string') : null)
}

const typeScriptTypes: Record<string, string> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  array: 'any[]',
  object: 'Record<string, any>',
  null: 'null',
}

/** The schema of a property as a type of TypeScript, as some families were trained to read tools. */
export function typeScriptType(property: JsonObject): string {
  if (Array.isArray(property.anyOf) && property.anyOf.length > 0) {
    return property.anyOf.map((option) => typeScriptType(isJsonObject(option) ? option : {})).join(' | ')
  }
  const types = Array.isArray(property.type) ? property.type : [property.type]
  return types.map((type) => (typeof type === 'string' && Object.hasOwn(typeScriptTypes, type) ? typeScriptTypes[type] : 'any')).join(' | ')
}

/** `.Think`, `.ThinkLevel` and `.IsThinkSet`. */
export function thinkVariables(think: Think | null): [name: string, value: Value][] {
  const level = typeof think === 'string' ? think : think ? 'medium' : ''
  return [
    ['Think', think !== null && think !== false],
    ['ThinkLevel', level],
    ['IsThinkSet', think !== null],
  ]
}
