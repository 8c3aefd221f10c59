import ServiceLifecycle

/// Services that stop at the same time, so that they share what SIGTERM leaves them.
struct ServicesTogether: Service {
    let services: [any Service]

    func run() async throws {
        try await withThrowingTaskGroup { group in
            for service in services { group.addTask { try await service.run() } }
            try await group.waitForAll()
        }
    }
}
