using Google.Protobuf.Collections;
using Mesh.Protos.Otlp;
using Mesh.Tap;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>The tags of one point, bounded.</summary>
internal sealed class PointTags
{
    private const int MaxText = 253;
    private const int MaxTags = 32;

    private readonly Dictionary<string, string> _tags = new(StringComparer.Ordinal);

    /// <summary>Counted under one name because a workload has too many: it says nothing of whom it is about.</summary>
    public bool IsOverflow => _tags.ContainsKey("otel.metric.overflow");

    public CallOutcome Outcome => this[MeshTags.Outcome] switch
    {
        MeshTags.Success => CallOutcome.Good,
        MeshTags.Cancelled => CallOutcome.Cancelled,
        _ => CallOutcome.Bad,
    };

    public bool IsTls => this[MeshTags.Tls] == "mesh";

    /// <summary>Empty where there is none.</summary>
    public string this[string key] => _tags.GetValueOrDefault(key, string.Empty);

    /// <returns>What is wrong with them; null: nothing.</returns>
    public static string? Read(RepeatedField<KeyValue> attributes, out PointTags tags)
    {
        tags = new PointTags();
        if (attributes.Count > MaxTags)
        {
            return $"a point has {attributes.Count} tags; at most {MaxTags} are taken";
        }

        foreach (var tag in attributes)
        {
            var text = tag.Value?.StringValue ?? string.Empty;
            if (text.Length > MaxText)
            {
                return $"tag '{TapText.Of(tag.Key, 64)}' has {text.Length} characters; at most {MaxText} are taken";
            }

            tags._tags[tag.Key] = text;
        }

        return null;
    }

    public SeriesKey Key(SeriesKind kind) => new(kind, this[MeshTags.Source], this[MeshTags.SourceNamespace], this[MeshTags.Destination], this[MeshTags.DestinationNamespace])
    {
        Route = this[MeshTags.Route],
        Backend = this[MeshTags.Backend],
        BackendNamespace = this[MeshTags.BackendNamespace],
        Endpoint = this[MeshTags.Endpoint],
    };
}
