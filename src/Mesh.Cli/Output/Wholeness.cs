using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.Cli.Output;

/// <summary>Tells people what an answer lacks.</summary>
internal static class Wholeness
{
    /// <summary>Of so much that is missing at the beginning nobody is told: answers are made of whole steps.</summary>
    private static readonly TimeSpan _step = TimeSpan.FromSeconds(60);

    /// <param name="answer">Of any endpoint whose answer has <c>partial</c>, <c>gaps</c> or <c>reaches_back_to</c>.</param>
    public static async Task TellAsync(JsonNode answer, TextWriter error)
    {
        foreach (var missing in answer["partial"] as JsonArray ?? [])
        {
            await error.WriteLineAsync($"mesh: replica {(string?)missing?["replica"]} is missing in this: {(string?)missing?["why"]}");
        }

        foreach (var gap in answer["gaps"] as JsonArray ?? [])
        {
            await error.WriteLineAsync($"mesh: numbers of {(string?)gap?["who"]} are missing from {(string?)gap?["from"]} to {(string?)gap?["to"]}: {(string?)gap?["why"]}");
        }

        if (Time(answer["reaches_back_to"]) is { } back && Time(answer["from"]) is { } from && back > from + _step)
        {
            await error.WriteLineAsync($"mesh: numbers reach back to {(string?)answer["reaches_back_to"]}, not to {(string?)answer["from"]}");
        }
    }

    /// <returns>Null when there is none.</returns>
    public static DateTimeOffset? Time(JsonNode? node) =>
        DateTimeOffset.TryParse((string?)node, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : null;
}
