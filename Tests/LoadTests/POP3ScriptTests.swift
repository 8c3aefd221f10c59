import POP3
import Testing

@testable import Load

@Suite("POP3 script")
struct POP3ScriptTests {
    /// Plays a server that says yes to everything. Returns all commands, and the most that were unanswered at once.
    private func play(_ task: POP3Load.Task, pipelines: Bool, messages: Int) -> (
        commands: [POP3ClientCommand], most: Int
    ) {
        var script = POP3Script(task: task, user: "u", password: "p", pipelines: pipelines)
        var said = script.greeted(true, "ready")
        var (answered, most) = (0, said.count)
        while answered < said.count {
            let command = said[answered]
            answered += 1
            said += script.answered(command, isOK: true, numbers: command == .stat ? [messages, 9] : [], code: nil)
            most = max(most, said.count - answered)
        }
        #expect(script.refusal == nil)
        return (said, most)
    }

    @Test("Lock-step: never more than one command without its answer", arguments: POP3Load.Task.allCases)
    func lockStep(task: POP3Load.Task) {
        #expect(play(task, pipelines: false, messages: 5).most == 1)
    }

    @Test("Every message is read once, and QUIT comes last, once", arguments: [true, false], [0, 1, 300])
    func everyMessage(pipelines: Bool, messages: Int) {
        for task in [POP3Load.Task.retr, .retrDele] {
            let (commands, most) = play(task, pipelines: pipelines, messages: messages)
            #expect(
                commands.filter { if case .retr = $0 { true } else { false } } == (1..<messages + 1).map { .retr($0) })
            let deleted = commands.count { if case .dele = $0 { true } else { false } }
            #expect(deleted == (task == .retrDele ? messages : 0))
            #expect(commands.last == .quit)
            #expect(commands.count { $0 == .quit } == 1)
            #expect(most <= 130)
        }
    }

    @Test("After a refusal comes QUIT, and the first refusal is told")
    func refusal() {
        var script = POP3Script(task: .retr, user: "u", password: "p", pipelines: true)
        #expect(script.greeted(true, "") == [.user("u"), .pass("p"), .stat])
        #expect(script.answered(.user("u"), isOK: true, numbers: [], code: nil).isEmpty)
        #expect(script.answered(.pass("p"), isOK: false, numbers: [], code: "AUTH") == [.quit])
        #expect(script.answered(.stat, isOK: false, numbers: [], code: nil).isEmpty)
        #expect(script.refusal == "login AUTH")
    }
}
