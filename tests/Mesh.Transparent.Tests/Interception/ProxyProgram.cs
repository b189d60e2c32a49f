using Mesh.Testing.Namespaces;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>mesh-proxy as it stands beside the tests.</summary>
internal static class ProxyProgram
{
    private static string Host => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private static string Assembly => Path.Combine(AppContext.BaseDirectory, "mesh-proxy.dll");

    public static NamespaceProcess Start(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) =>
        NamespaceProcess.Start(Host, [Assembly, .. arguments], environment);

    public static Task<ProcessResult> RunAsync(NetworkNamespace inside, uint? uid, params string[] arguments) => inside.RunAsync(uid, Host, [Assembly, .. arguments]);

    /// <summary>Runs init, which must succeed.</summary>
    public static async Task InitAsync(NetworkNamespace inside, params string[] arguments)
    {
        var result = await RunAsync(inside, null, ["init", .. arguments]);
        Xunit.Assert.True(result.ExitCode == 0, $"init {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Errors}");
    }
}
