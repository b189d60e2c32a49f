using System.Text.Json.Nodes;
using Mesh.Cli.Checks;

namespace Mesh.Cli.Output;

/// <summary>Writes what checks found: for people, for scripts, or just what is wrong.</summary>
internal sealed class CheckReport(CliContext context)
{
    public async Task WriteAsync(IReadOnlyList<Check> checks, string format)
    {
        switch (format)
        {
            case "json": await WriteJsonAsync(checks); break;
            case "short": await WriteShortAsync(checks); break;
            default: await WriteTextAsync(checks); break;
        }
    }

    private async Task WriteTextAsync(IReadOnlyList<Check> checks)
    {
        foreach (var category in checks.GroupBy(check => check.Category))
        {
            await context.Out.WriteLineAsync(category.Key);
            await context.Out.WriteLineAsync(new string('-', category.Key.Length));
            foreach (var check in category)
            {
                await context.Out.WriteLineAsync($"{Sign(check.Result)} {check.Description}");
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

        await context.Out.WriteLineAsync($"Status check results are {Sign(checks.Any(check => check.Result == "error") ? "error" : "ok")}");
    }

    /// <summary>A line for each thing that is wrong; nothing when all is well.</summary>
    private async Task WriteShortAsync(IReadOnlyList<Check> checks)
    {
        foreach (var check in checks.Where(check => check.Result != "ok"))
        {
            await context.Out.WriteLineAsync($"{Sign(check.Result)} {check.Id} {check.Description}: {check.Detail}{(check.Fix is { Length: > 0 } fix ? $" (fix: {fix})" : string.Empty)}");
        }
    }

    /// <summary>Linkerd's schema, with <c>id</c> and <c>fix</c> beside.</summary>
    private Task WriteJsonAsync(IReadOnlyList<Check> checks)
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
                ["hint"] = check.Result != "ok" && check.Id.StartsWith("MESH-CHK-", StringComparison.Ordinal) ? $"docs/kubernetes.md#{check.Id.ToLowerInvariant()}" : null,
            })]),
        });
        return context.Out.WriteLineAsync(new JsonObject
        {
            ["success"] = checks.All(check => check.Result != "error"),
            ["categories"] = new JsonArray([.. categories]),
        }.ToJsonString(ControlPlaneApi.Json));
    }

    private string Sign(string result) => (result, context.HasUnicode) switch
    {
        ("ok", true) => "√",
        ("ok", false) => "[ok]",
        ("warning", true) => "‼",
        ("warning", false) => "[warning]",
        (_, true) => "×",
        _ => "[error]",
    };
}
