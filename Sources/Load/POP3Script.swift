import POP3

/// What a generator's session says next: login, the task, QUIT. Pure: it hears replies and gives commands.
struct POP3Script: Sendable {
    private let task: POP3Load.Task
    private let user: String
    private let password: String
    /// RETR and DELE commands that may be unanswered at once.
    private let windowMax: Int
    private var retrieved = 0
    private var requested = 0
    private var quitSent = false
    private(set) var messageCount = 0
    /// The first refusal, as an error of the summary.
    private(set) var refusal: String?
    private(set) var isLoggedIn = false

    init(task: POP3Load.Task, user: String, password: String, pipelines: Bool) {
        self.task = task
        self.user = user
        self.password = password
        windowMax = pipelines ? 64 : 1
    }

    private var pipelines: Bool { windowMax > 1 }

    /// What to say to the greeting.
    mutating func greeted(_ isOK: Bool, _ text: String) -> [POP3ClientCommand] {
        guard isOK else {
            refusal = "greeting"
            return []
        }
        return pipelines ? [.user(user), .pass(password), .stat] : [.user(user)]
    }

    /// What to say when a command's whole answer is there.
    mutating func answered(_ command: POP3ClientCommand, isOK: Bool, numbers: [Int], code: String?)
        -> [POP3ClientCommand]
    {
        guard isOK else { return refused(command, code) }
        switch command {
        case .user: return pipelines ? [] : [.pass(password)]
        case .pass:
            isLoggedIn = true
            return pipelines ? [] : [.stat]
        case .stat:
            messageCount = numbers.first ?? 0
            switch task {
            case .login: return quit()
            case .list: return pipelines ? [.list, .uidl] + quit() : [.list]
            case .retr, .retrDele: return [.uidl] + (pipelines ? fill() : [])
            }
        case .list: return pipelines ? [] : [.uidl]
        case .uidl: return task == .list ? quit() : fill()
        case .retr(let number):
            retrieved += 1
            let delete: [POP3ClientCommand] = task == .retrDele ? [.dele(number)] : []
            return delete + (delete.isEmpty || pipelines ? fill() : [])
        case .dele: return pipelines ? [] : fill()
        default: return []
        }
    }

    /// A session that was refused something ends, so that an error is counted once.
    private mutating func refused(_ command: POP3ClientCommand, _ code: String?) -> [POP3ClientCommand] {
        refusal = refusal ?? "\(command.word) \(code ?? "-ERR")"
        return quit()
    }

    private mutating func fill() -> [POP3ClientCommand] {
        guard !quitSent else { return [] }
        var commands: [POP3ClientCommand] = []
        while requested < messageCount, requested - retrieved < windowMax {
            requested += 1
            commands.append(.retr(requested))
        }
        return retrieved >= messageCount ? commands + quit() : commands
    }

    private mutating func quit() -> [POP3ClientCommand] {
        guard !quitSent else { return [] }
        quitSent = true
        return [.quit]
    }
}

extension POP3ClientCommand {
    /// The command's word for a summary.
    fileprivate var word: String {
        switch self {
        case .user, .pass: "login"
        case .stat: "STAT"
        case .list: "LIST"
        case .uidl: "UIDL"
        case .retr: "RETR"
        case .dele: "DELE"
        default: "QUIT"
        }
    }
}
