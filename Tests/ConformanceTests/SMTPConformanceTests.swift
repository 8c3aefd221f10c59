import Foundation
import SMTP
import Testing

/// The dialogues of `SMTP/`, each as it is written and cut into pieces of every size.
@Suite("SMTP dialogues")
struct SMTPConformanceTests {
    static let files: [ScenarioFile] = {
        guard let folder = Bundle.module.resourceURL?.appending(path: "SMTP") else { return [] }
        do {
            return try Scenarios.all(in: folder)
        } catch {
            Issue.record(error)
            return []
        }
    }()

    @Test("there are dialogues for the rules")
    func thereAreDialogues() {
        #expect(Self.files.count >= 60)
    }

    @Test("dialogue", arguments: files)
    func dialogue(_ file: ScenarioFile) throws {
        var dialogue = SMTPDialogue(file)
        try dialogue.run()
    }

    @Test("any cutting of the client's bytes gives the same dialogue", arguments: files)
    func cutting(_ file: ScenarioFile) throws {
        var single = SMTPDialogue(file, pieces: { _ in 1 })
        try single.run()
        for seed in 1...8 as ClosedRange<UInt64> {
            var state = seed
            var dialogue = SMTPDialogue(file) { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(state >> 60) + 1
            }
            try dialogue.run()
        }
    }
}
