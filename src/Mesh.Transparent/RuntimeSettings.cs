namespace Mesh.Transparent;

/// <summary>What the runtime reads of the environment when it needs it first, set for a small proxy (docs/performance.md, "Sidecar").</summary>
internal static class RuntimeSettings
{
    private static readonly (string Name, string Value)[] _settings =
    [
        // Continuations run on the thread that saw the socket's event: a wake-up less per read and write.
        ("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1"),
        // One thread that sees events, as Linkerd has one worker by default: more of them wake each other up.
        ("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT", "1"),
        // Workers that have nothing to do sleep; spinning was 14 % of all CPU.
        ("DOTNET_ThreadPool_UnfairSemaphoreSpinLimit", "0"),
        // Fewer buffers are kept for later: a third less memory after load.
        ("DOTNET_SYSTEM_BUFFERS_SHAREDARRAYPOOL_MAXPARTITIONCOUNT", "1"),
        ("DOTNET_SYSTEM_BUFFERS_SHAREDARRAYPOOL_MAXARRAYSPERPARTITION", "8"),
    ];

    /// <summary>The first thing that the program does. What the operator set stays.</summary>
    public static void Apply()
    {
        foreach (var (name, value) in _settings)
        {
            if (Environment.GetEnvironmentVariable(name) is null)
            {
                Environment.SetEnvironmentVariable(name, value);
            }
        }
    }
}
