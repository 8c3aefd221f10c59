import ArgumentParser
import Foundation

/// Whether a command answers people or programs.
struct OutputOption: ParsableArguments {
    @Flag(name: .customLong("json"), help: "Print JSON instead of text.")
    var isJSON = false

    /// Prints the value as JSON, or else the text.
    func show(_ value: some Encodable, _ text: @autoclosure () -> String) throws {
        isJSON ? print(try Self.json(value)) : print(text(), terminator: "")
    }

    private static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

/// Says something to the person at the terminal that is no part of the output.
func note(_ text: String, terminator: String = "\n") {
    FileHandle.standardError.write(Data("\(text)\(terminator)".utf8))
}
