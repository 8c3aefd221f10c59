import Foundation
import Testing

/// The dialogues of `POP3/`, each as it is written and cut into pieces of every size.
@Suite("POP3 dialogues")
struct POP3ConformanceTests {
    static let files: [ScenarioFile] = {
        guard let folder = Bundle.module.resourceURL?.appending(path: "POP3") else { return [] }
        do {
            return try Scenarios.all(in: folder)
        } catch {
            Issue.record(error)
            return []
        }
    }()

    @Test("there are dialogues for the rules")
    func thereAreDialogues() {
        #expect(Self.files.count >= 100)
    }

    @Test("dialogue", arguments: files)
    func dialogue(_ file: ScenarioFile) throws {
        try run(file) { $0 }
    }

    @Test("any cutting of the client's bytes gives the same dialogue", arguments: files)
    func cutting(_ file: ScenarioFile) throws {
        for size in [1, 2, 3, 5, 11, 64] { try run(file) { _ in size } }
    }

    private func run(_ file: ScenarioFile, pieces: (Int) -> Int) throws {
        let dialogue = try POP3Dialogue(file)
        var server = POP3DialogueServer(dialogue)
        var unsent: [UInt8] = []
        for line in dialogue.lines {
            let place = "\(file.name):\(line.number)"
            switch line.event {
            case .client(let bytes):
                // Lines that follow each other are sent at once, behind everything that was expected before.
                if unsent.isEmpty { expectSilence(&server, place) }
                unsent += bytes
                continue
            case .server(let bytes, let isWhole):
                send(&unsent, to: &server, dialogue.isWhole ? { $0 } : pieces)
                expect(server.takeLine(), bytes, isWhole: isWhole, place)
            case .world(let word, let words):
                send(&unsent, to: &server, dialogue.isWhole ? { $0 } : pieces)
                let isSo = try server.world(word, words)
                #expect(isSo, "\(place)")
            }
        }
        send(&unsent, to: &server, pieces)
        expectSilence(&server, file.name)
    }

    private func send(_ unsent: inout [UInt8], to server: inout POP3DialogueServer, _ pieces: (Int) -> Int) {
        while !unsent.isEmpty {
            let next = unsent.prefix(pieces(unsent.count))
            unsent.removeFirst(next.count)
            server.receive(next)
        }
    }

    private func expect(_ line: [UInt8]?, _ expected: [UInt8], isWhole: Bool, _ place: String) {
        let said = line ?? []
        let matches = isWhole ? said == expected + [13, 10] : said.starts(with: expected) && !said.isEmpty
        #expect(matches, "\(place): the server said \(ScenarioFile.escaped(said))")
    }

    private func expectSilence(_ server: inout POP3DialogueServer, _ place: String) {
        let line = server.takeLine()
        #expect(line == nil, "\(place): the server also said \(ScenarioFile.escaped(line ?? []))")
    }
}
