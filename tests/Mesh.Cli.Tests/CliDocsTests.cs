using System.Runtime.CompilerServices;

namespace Mesh.Cli.Tests;

/// <summary>docs/cli.md says what the parser takes, and what it refuses with which words.</summary>
public sealed class CliDocsTests
{
    private static readonly string[] Lines = File.ReadAllLines(Path.Combine(Path.GetDirectoryName(Here())!, "../../docs/cli.md"));

    /// <summary>Nobody listens there: what was understood ends in 69.</summary>
    private static readonly Dictionary<string, string> Nowhere = new() { ["MESH_SERVER"] = "http://127.0.0.1:1", ["MESH_TOKEN"] = FakeControlPlane.Token };

    [Fact]
    public async Task Matrix_IsTheParsers()
    {
        var rows = Rows("## Which takes what");
        var options = rows[0][1..];
        string[] commands = [.. rows[2..].Select(r => r[0].Split(' ')[0])];
        Assert.Equal(["stat", "routes", "edges", "top", "tap", "explain", "traces", "dashboard"], commands);
        foreach (var row in rows[2..])
        {
            Assert.Equal(69, (await CliRun.RunAsync(Nowhere, row[0].Split(' '))).ExitCode);
            foreach (var (option, says) in options.Zip(row[1..]))
            {
                var run = await CliRun.RunAsync(Nowhere, [.. row[0].Split(' '), .. option.Split(' ')]);
                Assert.True(run.ExitCode == says switch { "yes" => 69, "no" => 64, _ => -1 }, $"mesh {row[0]} {option}: the docs say {says}, the command {run.ExitCode}: {run.Error}");
                // A refusal has its reason, not only that it is not known.
                Assert.DoesNotContain("Unrecognized", run.Error, StringComparison.Ordinal);
                Assert.Equal(1, run.Error.Split("mesh: ").Length - 1);
            }
        }
    }

    [Fact]
    public async Task Refusals_SayWhy()
    {
        foreach (var row in Rows("## What is refused, and why")[2..])
        {
            var run = await CliRun.RunAsync(Nowhere, row[0].Split(' ')[1..]);
            Assert.True(run.ExitCode == 64 && run.Error.Contains(row[1], StringComparison.Ordinal), $"{row[0]}: {run.ExitCode} {run.Error}");
        }
    }

    /// <summary>Cells of the table under a title, with neither ticks nor blanks.</summary>
    private static List<string[]> Rows(string title) =>
        [.. Lines.SkipWhile(l => l != title).Skip(1).SkipWhile(l => !l.StartsWith('|')).TakeWhile(l => l.StartsWith('|')).Select(l => l.Trim('|').Split('|').Select(c => c.Trim().Trim('`')).ToArray())];

    private static string Here([CallerFilePath] string path = "") => path;
}
