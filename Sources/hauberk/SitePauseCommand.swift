import ArgumentParser
import Hops
import Membership
import POP3

/// Says the same about a site to every storage node.
struct SiteOrders {
    struct View: Encodable {
        let site: String
        let paused: Bool
    }

    let configuration: ClusterConfiguration

    /// The settings of a site that mail goes to.
    func site(_ name: String) throws -> SiteSettings {
        let known = configuration.sites.filter { !$0.addresses.isEmpty }
        if let site = known.first(where: { $0.name == name }) { return site }
        throw CommandFailure(
            "no mail goes to a site \(name)"
                + (known.isEmpty
                    ? ": there are none (sites in the configuration)"
                    : "; there are: \(known.map(\.name).joined(separator: ", "))"))
    }

    /// - Throws: `CommandFailure` that names each node which did not take the order.
    func pause(_ isPaused: Bool, _ name: String) async throws {
        let site = try site(name)
        let questions = try NodeQuestions(configuration)
        let answers = await questions.order(isPaused ? .pause : .resume, ofSite: site.name)
        await questions.quit()
        let failures = zip(configuration.nodes, answers).compactMap { node, answer in
            if case .failure(let error) = answer { "\(node.name): \(error)" } else { nil }
        }
        guard failures.isEmpty else {
            let word = isPaused ? "paused" : "resumed"
            throw CommandFailure(
                "\(name) is not \(word) everywhere; say it again when these can be told:\n"
                    + failures.joined(separator: "\n"))
        }
    }
}

/// `site pause`.
struct SitePauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Have nothing carried to a site until it is resumed.",
        discussion: """
            What comes for the site goes on to wait for it on the storage nodes, and they remember the pause when they \
            start again. What the site brings here is not concerned.

              hauberk site pause west
            """)

    @Argument(help: "The site.")
    var name: String

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        try await SiteOrders(configuration: try await file.loadWithMembers()).pause(true, name)
        try output.show(
            SiteOrders.View(site: name, paused: true),
            "nothing is carried to \(name) until 'hauberk site resume \(name)'; what comes for it waits\n")
    }
}

/// `site resume`.
struct SiteResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Have what waits for a site carried there again.",
        discussion: """
              hauberk site resume west
            """)

    @Argument(help: "The site.")
    var name: String

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        try await SiteOrders(configuration: try await file.loadWithMembers()).pause(false, name)
        try output.show(
            SiteOrders.View(site: name, paused: false), "what waits for \(name) is carried there again\n")
    }
}
