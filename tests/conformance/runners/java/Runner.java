// Answers requests with the Java parser; see the README of the kit.

import io.kaitai.struct.KaitaiStream;
import io.kaitai.struct.KaitaiStruct;
import io.kaitai.struct.RandomAccessFileKaitaiStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.BufferUnderflowException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Runner {
    private static final Pattern STEP = Pattern.compile("\\w+");

    /** The path leads nowhere. */
    private static class NothingThere extends Exception {
        NothingThere(String reason) {
            super(reason);
        }
    }

    private static String file;
    private static RandomAccessFileKaitaiStream stream;
    private static Vhdx root;

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] request = line.split("\t");
            String kind = request[0];
            if (kind.equals("open")) {
                file = request[1];
                close();
                answers.print("opened\t\n");
                answers.flush();
                continue;
            }
            boolean isFresh = kind.equals("error") || kind.equals("broken_text");
            if (isFresh) {
                close();
            }
            String answer;
            try {
                answer = answer(follow(request[1]));
            } catch (NothingThere mistake) {
                answer = "nothing\t" + mistake.getMessage();
            } catch (RuntimeException error) {
                isFresh = true;
                answer = (isRefusal(error) ? "error\t" : "nothing\t") + error.toString().replace("\n", " ");
            }
            if (isFresh) {
                close();
            }
            answers.print(answer + "\n");
        }
        answers.flush();
    }

    private static void close() throws IOException {
        root = null;
        if (stream != null) {
            stream.close();
            stream = null;
        }
    }

    private static Object follow(String path) throws IOException, NothingThere {
        if (root == null) {
            stream = new RandomAccessFileKaitaiStream(file);
            root = new Vhdx(stream);
        }
        Object value = root;
        for (Matcher steps = STEP.matcher(path); steps.find();) {
            String step = steps.group();
            value = Character.isDigit(step.charAt(0)) ? element(value, Integer.parseInt(step)) : get(value, step);
        }
        return value;
    }

    private static Object element(Object value, int index) throws NothingThere {
        if (value instanceof List && index < ((List<?>) value).size()) {
            return ((List<?>) value).get(index);
        }
        throw new NothingThere("no element " + index);
    }

    /** Fields, parameters and instances are methods alike. */
    private static Object get(Object value, String name) throws NothingThere {
        if (!(value instanceof KaitaiStruct)) {
            throw new NothingThere("no " + name + " in " + value);
        }
        try {
            return value.getClass().getMethod(camelCase(name)).invoke(value);
        } catch (InvocationTargetException exception) {
            if (exception.getCause() instanceof RuntimeException) {
                throw (RuntimeException) exception.getCause();
            }
            throw new NothingThere(exception.getCause().toString());
        } catch (ReflectiveOperationException exception) {
            throw new NothingThere("no " + name + " in " + value.getClass());
        }
    }

    private static String answer(Object value) {
        if (value == null) {
            return "absent\t";
        } else if (value instanceof Boolean) {
            return "bool\t" + value;
        } else if (value instanceof Enum) {
            return snakeCase(value.getClass().getSimpleName()) + "\t" + ((Enum<?>) value).name().toLowerCase();
        } else if (value instanceof Number) {
            return "int\t" + value;
        } else if (value instanceof String) {
            return "str\t" + quoted((String) value);
        } else if (value instanceof byte[]) {
            return "bytes\t" + hexadecimal((byte[]) value);
        } else if (value instanceof List) {
            return "size\t" + ((List<?>) value).size();
        }
        return "object\t" + value.getClass().getSimpleName();
    }

    /** What a parser may throw over a file that is not as it should be: Java has no one class for its end. */
    private static boolean isRefusal(RuntimeException error) {
        return error instanceof KaitaiStream.KaitaiStructError
            || error instanceof BufferUnderflowException
            || error instanceof IllegalArgumentException
            || error.getCause() instanceof IOException;
    }

    private static String camelCase(String name) {
        return Pattern.compile("_(\\w)").matcher(name).replaceAll(match -> match.group(1).toUpperCase());
    }

    private static String snakeCase(String name) {
        return name.replaceAll("\\B([A-Z])", "_$1").toLowerCase();
    }

    private static String quoted(String text) {
        StringBuilder literal = new StringBuilder("\"");
        for (char unit : text.toCharArray()) {
            boolean isPlain = unit >= ' ' && unit <= '~' && unit != '"' && unit != '\\';
            literal.append(isPlain ? String.valueOf(unit) : String.format("\\u%04x", (int) unit));
        }
        return literal.append('"').toString();
    }

    private static String hexadecimal(byte[] data) {
        StringBuilder digits = new StringBuilder(2 * data.length);
        for (byte one : data) {
            digits.append(Character.forDigit(one >> 4 & 15, 16)).append(Character.forDigit(one & 15, 16));
        }
        return digits.toString();
    }
}
