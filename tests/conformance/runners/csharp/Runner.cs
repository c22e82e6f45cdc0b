// Answers requests with the C# parser; see the README of the kit.

using System;
using System.Collections;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using Kaitai;

public static class Runner
{
    /// <summary>The path leads nowhere.</summary>
    private class NothingThere : Exception
    {
        public NothingThere(string reason) : base(reason) { }
    }

    private static byte[] data;
    private static Vhdx root;

    public static void Main(string[] arguments)
    {
        var answers = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
        foreach (string line in File.ReadLines(arguments[0]))
        {
            string[] request = line.Split('\t');
            string kind = request[0];
            if (kind == "open")
            {
                data = File.ReadAllBytes(request[1]);
                root = null;
                answers.Write("opened\t\n");
                answers.Flush();
                continue;
            }
            bool isFresh = kind == "error" || kind == "broken_text";
            if (isFresh)
            {
                root = null;
            }
            string answer;
            try
            {
                answer = Answer(Follow(request[1]));
            }
            catch (NothingThere mistake)
            {
                answer = "nothing\t" + mistake.Message;
            }
            catch (Exception error)
            {
                isFresh = true;
                answer = (IsRefusal(error) ? "error\t" : "nothing\t") + error.GetType() + " " + error.Message.Replace("\n", " ");
            }
            if (isFresh)
            {
                root = null;
            }
            answers.Write(answer + "\n");
        }
        answers.Flush();
    }

    private static object Follow(string path)
    {
        root = root ?? new Vhdx(new KaitaiStream(data));
        object value = root;
        foreach (Match step in Regex.Matches(path, @"\w+"))
        {
            value = char.IsDigit(step.Value[0]) ? Element(value, int.Parse(step.Value)) : Member(value, step.Value);
        }
        return value;
    }

    private static object Element(object value, int index)
    {
        var list = value as IList;
        if (list == null || index >= list.Count)
        {
            throw new NothingThere("no element " + index);
        }
        return list[index];
    }

    private static object Member(object value, string name)
    {
        PropertyInfo property = value is KaitaiStruct ? value.GetType().GetProperty(PascalCase(name)) : null;
        if (property == null)
        {
            throw new NothingThere("no " + name + " in " + value);
        }
        try
        {
            return property.GetValue(value, null);
        }
        catch (TargetInvocationException exception)
        {
            throw exception.InnerException;
        }
    }

    private static string Answer(object value)
    {
        if (value == null)
        {
            return "absent\t";
        }
        if (value is bool)
        {
            return "bool\t" + value.ToString().ToLowerInvariant();
        }
        if (value is Enum)
        {
            string label = Enum.IsDefined(value.GetType(), value) ? SnakeCase(value.ToString()) : Convert.ToInt64(value).ToString();
            return SnakeCase(value.GetType().Name) + "\t" + label;
        }
        if (value is byte[])
        {
            return "bytes\t" + string.Concat(((byte[])value).Select(one => one.ToString("x2")));
        }
        if (value is string)
        {
            return "str\t" + Quoted((string)value);
        }
        if (value is IList)
        {
            return "size\t" + ((IList)value).Count;
        }
        return (value is KaitaiStruct ? "object\t" : "int\t") + value;
    }

    /// <summary>What a parser may throw over a file that is not as it should be.</summary>
    private static bool IsRefusal(Exception error)
    {
        return error is EndOfStreamException || error is IOException || error is ArgumentException
            || error is KaitaiStructError;
    }

    private static string PascalCase(string name)
    {
        return string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word.Substring(1)));
    }

    private static string SnakeCase(string name)
    {
        return Regex.Replace(name, @"\B([A-Z])", "_$1").ToLowerInvariant();
    }

    private static string Quoted(string text)
    {
        var literal = new StringBuilder("\"");
        foreach (char unit in text)
        {
            bool isPlain = unit >= ' ' && unit <= '~' && unit != '"' && unit != '\\';
            literal.Append(isPlain ? unit.ToString() : "\\u" + ((int)unit).ToString("x4"));
        }
        return literal.Append('"').ToString();
    }
}
