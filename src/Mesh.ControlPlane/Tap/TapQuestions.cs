using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>A question on its way to another replica.</summary>
internal static class TapQuestions
{
    public static Question Write(TapQuestion question)
    {
        var written = new Question
        {
            Namespace = question.Namespace ?? string.Empty,
            Source = question.Source ?? string.Empty,
            SourceNamespace = question.SourceNamespace ?? string.Empty,
            Destination = question.Destination ?? string.Empty,
            DestinationNamespace = question.DestinationNamespace ?? string.Empty,
            Workload = question.Workload ?? string.Empty,
            Labels = question.Labels?.ToString() ?? string.Empty,
            Method = question.Method,
            Path = question.Path,
            Status = question.Status,
            MinMs = question.MinMs,
            Opens = question.Opens,
        };
        written.Headers.AddRange(question.Headers);
        return written;
    }

    public static TapQuestion Read(Question question, double maxPerSecond) => new(maxPerSecond)
    {
        Namespace = Text(question.Namespace),
        Source = Text(question.Source),
        SourceNamespace = Text(question.SourceNamespace),
        Destination = Text(question.Destination),
        DestinationNamespace = Text(question.DestinationNamespace),
        Workload = Text(question.Workload),
        Labels = Text(question.Labels) is { } labels ? LabelSelector.Parse(labels, out _) : null,
        Method = question.Method,
        Path = question.Path,
        Status = question.Status,
        MinMs = question.MinMs,
        Headers = [.. question.Headers],
        Opens = question.Opens,
    };

    private static string? Text(string text) => text.Length == 0 ? null : text;
}
