using System.Globalization;
using System.Text.Json;
using Mesh.Testing;
using Mesh.Testing.Namespaces;

namespace Mesh.Pods.Tests;

/// <summary>An app that calls fifty times a second while a test does something to the mesh.</summary>
internal sealed class SteadyClient(NamespaceProcess process) : IAsyncDisposable
{
    private const int Term = 15;

    public static async Task<SteadyClient> StartAsync(MeshPod pod, string url)
    {
        var client = new SteadyClient(pod.Start(Programs.Node, Programs.App("client.js"), "steady", url));
        await client.FlowAsync(50);
        return client;
    }

    /// <summary>Waits until so many more calls have ended.</summary>
    public async Task FlowAsync(int calls)
    {
        var until = Last("done ") + calls;
        await Eventually.Async(() => process.HasExited ? throw new InvalidOperationException(process.Errors) : Last("done ") >= until, $"{calls} more calls end: {process.Output}", TimeSpan.FromSeconds(60));
    }

    /// <summary>So many have failed up to now.</summary>
    public int Failed() => Last("failed ");

    /// <summary>Stops calling: how many calls, and what failed.</summary>
    public async Task<(int Count, IReadOnlyList<string> Failures)> EndAsync()
    {
        process.Signal(Term);
        await process.ExitAsync(TimeSpan.FromSeconds(30));
        await process.OutputAsync("\"count\"");
        using var result = JsonDocument.Parse(process.Output.Split('\n').First(l => l.StartsWith('{')));
        return (result.RootElement.GetProperty("count").GetInt32(), [.. result.RootElement.GetProperty("failures").EnumerateArray().Select(f => f.GetString()!)]);
    }

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private int Last(string word)
    {
        var output = process.Output;
        var at = output.LastIndexOf(word, StringComparison.Ordinal);
        return at < 0 ? 0 : int.Parse(output[(at + word.Length)..].Split(' ', '\n')[0], CultureInfo.InvariantCulture);
    }
}
