using System.CommandLine;
using System.Text.Json.Nodes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh check</c>: what is wrong, with its fix. Exit 2 when an error was found.</summary>
internal static class CheckCommand
{
    private const string Path = "api/v1/checks";

    public static Command Create(CliContext context)
    {
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var strict = new Option<bool>("--strict") { Description = "Warnings fail too (exit 3)" };
        var command = new Command("check", "Looks for what is wrong in the mesh, and says how to fix it.") { output, strict };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var checks = api.Read<List<Check>>(await api.GetAsync(Path, cancellationToken), Path);
            await (result.GetValue(output) == "json" ? WriteJsonAsync(context, checks) : WriteTextAsync(context, checks));
            return checks.Any(check => check.Result == "error") ? ExitCodes.CheckFailed
                : result.GetValue(strict) && checks.Any(check => check.Result == "warning") ? 3
                : ExitCodes.Ok;
        });
        return command;
    }

    private static async Task WriteTextAsync(CliContext context, List<Check> checks)
    {
        foreach (var category in checks.GroupBy(check => check.Category))
        {
            await context.Out.WriteLineAsync(category.Key);
            await context.Out.WriteLineAsync(new string('-', category.Key.Length));
            foreach (var check in category)
            {
                await context.Out.WriteLineAsync($"{Sign(context, check.Result)} {check.Description}");
                if (check.Result != "ok")
                {
                    await context.Out.WriteLineAsync($"    {check.Detail} ({check.Id})");
                    if (check.Fix is { Length: > 0 } fix)
                    {
                        await context.Out.WriteLineAsync($"    fix: {fix}");
                    }
                }
            }

            await context.Out.WriteLineAsync();
        }

        var worst = checks.Any(check => check.Result == "error") ? "error" : "ok";
        await context.Out.WriteLineAsync($"Status check results are {Sign(context, worst)}");
    }

    /// <summary>Linkerd's schema, with <c>id</c> and <c>fix</c> beside.</summary>
    private static Task WriteJsonAsync(CliContext context, List<Check> checks)
    {
        var categories = checks.GroupBy(check => check.Category).Select(category => (JsonNode)new JsonObject
        {
            ["categoryName"] = category.Key,
            ["checks"] = new JsonArray([.. category.Select(check => (JsonNode)new JsonObject
            {
                ["id"] = check.Id,
                ["description"] = check.Description,
                ["result"] = check.Result == "ok" ? "success" : check.Result,
                ["error"] = check.Result == "ok" ? null : check.Detail,
                ["fix"] = check.Fix,
            })]),
        });
        return context.Out.WriteLineAsync(new JsonObject
        {
            ["success"] = checks.All(check => check.Result != "error"),
            ["categories"] = new JsonArray([.. categories]),
        }.ToJsonString(ControlPlaneApi.Json));
    }

    private static string Sign(CliContext context, string result) => (result, context.HasUnicode) switch
    {
        ("ok", true) => "√",
        ("ok", false) => "[ok]",
        ("warning", true) => "‼",
        ("warning", false) => "[warning]",
        (_, true) => "×",
        _ => "[error]",
    };

    private sealed record Check(string Id, string Category, string Description, string Result, string? Detail, string? Fix);
}
