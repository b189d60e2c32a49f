using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh policy lint</c>: rules that do nothing, or not what they seem to. Exit 2 when an error was found.</summary>
internal static class PolicyLintCommand
{
    public static Command Create(CliContext context)
    {
        var (output, @namespace, server) = (CommonOptions.Output(), new Option<string?>("--namespace", "-n") { Description = "Only policies of this namespace" }, new ServerOptions(context));
        var strict = new Option<bool>("--strict") { Description = "Warnings fail too (exit 3)" };
        var command = new Command("lint", "Looks for rules that are unreachable, redundant, or match nothing, and for what some servers can't ask.") { output, @namespace, strict };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = $"api/v1/policies/lint{(result.GetValue(@namespace) is { Length: > 0 } ns ? $"?namespace={Uri.EscapeDataString(ns)}" : string.Empty)}";
            var answer = await api.GetAsync(path, cancellationToken);
            var findings = api.Read<List<Finding>>(answer, path);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(answer.ToJsonString(ControlPlaneApi.Json));
            }
            else
            {
                await WriteAsync(context, findings);
            }

            return findings.Any(f => f.Severity == "error") ? ExitCodes.CheckFailed
                : result.GetValue(strict) && findings.Count > 0 ? 3
                : ExitCodes.Ok;
        });
        return command;
    }

    private static async Task WriteAsync(CliContext context, List<Finding> findings)
    {
        foreach (var finding in findings)
        {
            await context.Out.WriteLineAsync($"{finding.Where}: {finding.Severity}: {finding.Policy}{(finding.Rule is null ? string.Empty : $", rule {finding.Rule}")} ({finding.Id})");
            await context.Out.WriteLineAsync($"    {finding.Message}");
            await context.Out.WriteLineAsync($"    fix: {finding.Fix}");
        }

        var errors = findings.Count(f => f.Severity == "error");
        await context.Out.WriteLineAsync(findings.Count == 0 ? "Nothing found."
            : $"{(findings.Count > 0 ? Environment.NewLine : string.Empty)}{Count(errors, "error")}, {Count(findings.Count - errors, "warning")}.");
    }

    private static string Count(int number, string what) => $"{number.ToString(System.Globalization.CultureInfo.InvariantCulture)} {what}{(number == 1 ? string.Empty : "s")}";

    private sealed record Finding(string Id, string Severity, string Policy, string? Rule, string Where, string Message, string Fix);
}
