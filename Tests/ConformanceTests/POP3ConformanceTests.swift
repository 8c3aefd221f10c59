import Foundation
import Testing

/// Runs every text file of `POP3/`: the replies must be those of the file, however the client's bytes are cut.
@Suite struct POP3ConformanceTests {
    struct File: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String

        var testDescription: String { name }
    }

    static let files: [File] = {
        let folder = Bundle.module.bundleURL.appending(path: "POP3")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasSuffix(".txt") }.sorted().map { name in
            let text = try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
            return File(name: name, text: text ?? "")
        }
    }()

    @Test("each dialogue goes as its file says", arguments: files)
    func dialogue(file: File) throws {
        let dialogue = try POP3Dialogue(file.text)
        for piece in dialogue.onlyWhole ? [Int.max] : [Int.max, 1, 2, 3, 5, 11, 64] {
            run(dialogue, piece: piece)
        }
    }

    @Test("there is a dialogue for each rule")
    func completeness() {
        #expect(Self.files.count >= 40)
    }

    private func run(_ dialogue: POP3Dialogue, piece: Int) {
        var server = POP3DialogueServer(dialogue)
        var read = 0
        var unsent: [UInt8] = []
        for line in dialogue.lines {
            if case .client(let bytes) = line {
                unsent += bytes
                continue
            }
            send(&unsent, to: &server, piece: piece)
            switch line {
            case .client: break
            case .server(let expected): expectLine(expected, server.output, &read, dialogue.rule)
            case .world(let event):
                let isSo = server.world(event)
                #expect(isSo, "\(dialogue.rule): \(event)")
            }
        }
        send(&unsent, to: &server, piece: piece)
        let rest = String(decoding: server.output[read...], as: UTF8.self)
        #expect(rest.isEmpty, "\(dialogue.rule), pieces of \(piece): nobody expects \(rest)")
    }

    private func send(_ unsent: inout [UInt8], to server: inout POP3DialogueServer, piece: Int) {
        while !unsent.isEmpty {
            let next = unsent.prefix(piece)
            unsent.removeFirst(next.count)
            server.receive(next)
        }
    }

    private func expectLine(_ expected: String, _ output: [UInt8], _ read: inout Int, _ rule: String) {
        let rest = output[read...]
        guard let end = rest.indices.first(where: { rest[$0] == 10 && $0 > read && rest[$0 - 1] == 13 }) else {
            #expect(Bool(false), "\(rule): \(expected) did not come, but \(String(decoding: rest, as: UTF8.self))")
            return
        }
        let line = String(decoding: output[read..<(end - 1)], as: UTF8.self)
        read = end + 1
        if expected.hasSuffix("*") {
            #expect(line.hasPrefix(expected.dropLast()), "\(rule)")
        } else {
            #expect(line == expected, "\(rule)")
        }
    }
}
